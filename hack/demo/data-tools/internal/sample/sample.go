// Package sample holds the orders that the demo starts from.
package sample

import _ "embed"

// FileName is what Orders is called in a source directory.
const FileName = "orders.csv"

// Orders is a CSV file as a shop would export it: mostly good, with the faults that real exports have.
//
//go:embed orders.csv
var Orders []byte
