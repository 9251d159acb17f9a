// Package versioned is the clientset of SequentialJobs.
//
// Make one from the same configuration as other clients of Kubernetes:
//
//	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig) // or rest.InClusterConfig()
//	client, err := versioned.NewForConfig(config)
//
// and go on with client.BatchV1alpha1().SequentialJobs(namespace). The examples create a sequence, wait for its end, tell why it
// failed, and let it go on. To follow many of them, use the informers in pkg/generated/informers/externalversions rather
// than a Get for each.
//
// Users who create SequentialJobs need the permission to create jobs.batch, in addition to sequentialjobs.batch.example.com.
package versioned
