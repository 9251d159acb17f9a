module github.com/example/sequential-job-operator/hack/cluster/pause

go 1.26
