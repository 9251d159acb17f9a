// Package kubectl is the kubectl plugin for SequentialJobs: one file a command, over two pure packages. [view] makes the lines that
// are shown out of objects; [follow] decides which log comes next.
//
// [view]: github.com/example/sequential-job-operator/pkg/kubectl/view
// [follow]: github.com/example/sequential-job-operator/pkg/kubectl/follow
package kubectl
