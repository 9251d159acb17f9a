// Package compat tests what works together with others.
package compat
