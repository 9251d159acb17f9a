package sequence

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// JobName returns the name of a step's Job, retry being how often the step has been started before. It is predictable, for
// users, and unique, so that it is also a lock: of two controllers that create it, one loses.
func JobName(sj *v1alpha1.SequentialJob, index int, retry int32) string {
	name := fmt.Sprintf("%s-%d", sj.Name, index)
	if IsFinally(index) {
		name = fmt.Sprintf("%s-f%d", sj.Name, index-FirstFinally)
	}
	if retry > 0 {
		name += fmt.Sprintf("-r%d", retry)
	}
	return name
}

// NextJobName returns the name of the Job that starts next, unless the sequence has come to its end.
func NextJobName(sj *v1alpha1.SequentialJob) string {
	if sj.Status.Result != nil {
		return JobName(sj, FirstFinally+len(sj.Status.Finally), finallyRetry(&sj.Status))
	}
	index := len(sj.Status.Steps)
	if index > 0 && sj.Status.Steps[index-1].State == v1alpha1.StepFailed {
		return JobName(sj, index-1, sj.Status.Steps[index-1].Retries+1)
	}
	return JobName(sj, index, 0)
}

// NewJob returns the Job of a step, retry being how often the step has been started before.
func NewJob(sj *v1alpha1.SequentialJob, index int, retry int32) *batchv1.Job {
	step := ContainerAt(&sj.Spec, index)
	job := newJob(sj, []corev1.Container{*step}, overrideOf(&sj.Spec, step.Name))
	job.Name = JobName(sj, index, retry)
	maps.Copy(job.Labels, ownLabels(sj, index, step.Name))
	maps.Copy(job.Spec.Template.Labels, ownLabels(sj, index, step.Name))
	if IsFinally(index) {
		addResult(job, sj.Status.Result)
	} else if advancesByPod(sj) {
		job.Labels[v1alpha1.AdvanceOnLabel] = string(v1alpha1.AdvanceOnPodSucceeded)
		job.Spec.Template.Labels[v1alpha1.AdvanceOnLabel] = string(v1alpha1.AdvanceOnPodSucceeded)
	}
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, v1alpha1.GenerationAnnotation, strconv.FormatInt(sj.Generation, 10))
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, v1alpha1.StepHashAnnotation, hashSteps(&sj.Spec, index))
	return job
}

// ownLabels are the labels that tell whose Job it is.
func ownLabels(sj *v1alpha1.SequentialJob, index int, step string) map[string]string {
	key, value := indexLabel(index)
	return map[string]string{
		v1alpha1.SequentialJobNameLabel: sj.Name,
		v1alpha1.SequentialJobUIDLabel:  string(sj.UID),
		v1alpha1.StepNameLabel:          step,
		key:                             value,
	}
}

func controllerRef(sj *v1alpha1.SequentialJob) *metav1.OwnerReference {
	return metav1.NewControllerRef(sj, schema.GroupVersionKind{
		Group: v1alpha1.GroupName, Version: v1alpha1.GroupVersion.Version, Kind: v1alpha1.SequentialJobKind,
	})
}

// NewCheckJob returns a Job that holds the containers at these indices at once, whose pod template is the same but for them. It is
// never run: the API server's answer to a dry run of it tells at the cost of one request whether the steps are valid. A refusal is no
// proof, because steps that are valid each for itself may not fit one pod; NewStepCheckJob gives that.
func NewCheckJob(sj *v1alpha1.SequentialJob, indices []int) *batchv1.Job {
	containers := make([]corev1.Container, len(indices))
	for i, index := range indices {
		containers[i] = *ContainerAt(&sj.Spec, index)
	}
	job := newJob(sj, containers, overrideOf(&sj.Spec, containers[0].Name))
	job.GenerateName = sj.Name + "-"
	return job
}

// NewStepCheckJob returns the Job of one step under a name that cannot clash, for a dry run.
func NewStepCheckJob(sj *v1alpha1.SequentialJob, index int) *batchv1.Job {
	job := NewJob(sj, index, 0)
	job.Name, job.GenerateName = "", job.Name+"-"
	return job
}

// newJob returns the Job of these containers, with what an override, which may be nil, says of them.
func newJob(sj *v1alpha1.SequentialJob, containers []corev1.Container, override *v1alpha1.StepOverride) *batchv1.Job {
	replacement := batchv1.Failed
	template := templateOf(&sj.Spec, override)
	labels := withoutReserved(template.Labels)
	labels[v1alpha1.SequentialJobNameLabel] = sj.Name
	labels[v1alpha1.SequentialJobUIDLabel] = string(sj.UID)
	annotations := withoutReserved(template.Annotations)

	spec := template.Spec
	spec.Containers = make([]corev1.Container, len(containers))
	for i := range containers {
		containers[i].DeepCopyInto(&spec.Containers[i])
		if spec.Containers[i].TerminationMessagePolicy == "" {
			spec.Containers[i].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
		}
	}
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyNever
	}
	dropUnused(&spec)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       sj.Namespace,
			Labels:          labels,
			Annotations:     annotations,
			OwnerReferences: []metav1.OwnerReference{*controllerRef(sj)},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit:     backoffLimitOf(&sj.Spec, override),
			PodFailurePolicy: podFailurePolicyFor(sj.Spec.PodFailurePolicy, &spec),
			// A pod is replaced only once it has ended: two pods of one step never run at the same time.
			PodReplacementPolicy: &replacement,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels), Annotations: maps.Clone(annotations)},
				Spec:       spec,
			},
		},
	}
}

// dropUnused leaves out of a pod what is allocated for it alone and what none of its containers uses: a step that needs no device and no
// disk does not wait for those of another step.
func dropUnused(pod *corev1.PodSpec) {
	claims, volumes := map[string]bool{}, map[string]bool{}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, claim := range container.Resources.Claims {
			claims[claim.Name] = true
		}
		for _, mount := range container.VolumeMounts {
			volumes[mount.Name] = true
		}
		for _, device := range container.VolumeDevices {
			volumes[device.Name] = true
		}
	}
	pod.ResourceClaims = slices.DeleteFunc(pod.ResourceClaims, func(claim corev1.PodResourceClaim) bool { return !claims[claim.Name] })
	pod.Volumes = slices.DeleteFunc(pod.Volumes, func(volume corev1.Volume) bool {
		return !volumes[volume.Name] && volume.Ephemeral != nil
	})
}

// describeConflict says why an existing Job that has the name of a step's Job cannot be that step's, and what to do about it.
// It returns "" if it is that step's Job. Ownership is the UID of the controller reference, never a name or a label.
func describeConflict(sj *v1alpha1.SequentialJob, index int, job *batchv1.Job) string {
	if !metav1.IsControlledBy(job, sj) {
		return fmt.Sprintf("Job %s exists already and belongs to %s: %s (%s) starts once that Job is deleted",
			job.Name, controllerOf(job), stepNoun(index), nameAt(&sj.Spec, index))
	}
	name := job.Labels[v1alpha1.StepNameLabel]
	if containers := job.Spec.Template.Spec.Containers; name == "" && len(containers) > 0 {
		name = containers[0].Name // a policy may let no label of ours pass
	}
	if name != nameAt(&sj.Spec, index) {
		return fmt.Sprintf("Job %s runs step %q, which was edited away just as it started: %s (%s) starts once that Job is deleted",
			job.Name, clean(name), stepNoun(index), nameAt(&sj.Spec, index))
	}
	return ""
}

// isLeftByPredecessor says whether a Job belongs to a former SequentialJob of the same name: the garbage collector removes
// it, nobody has to do anything.
func isLeftByPredecessor(sj *v1alpha1.SequentialJob, job *batchv1.Job) bool {
	owner := metav1.GetControllerOf(job)
	return owner != nil && owner.Kind == v1alpha1.SequentialJobKind && owner.Name == sj.Name && owner.UID != sj.UID
}

func controllerOf(job *batchv1.Job) string {
	if owner := metav1.GetControllerOf(job); owner != nil {
		return fmt.Sprintf("%s %s", owner.Kind, owner.Name)
	}
	return "somebody else"
}

// withoutReserved returns a copy without the keys that belong to this controller or to the Job controller.
func withoutReserved(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for key, value := range in {
		if !isReserved(key) {
			out[key] = value
		}
	}
	return out
}

func isReserved(key string) bool {
	return strings.HasPrefix(key, v1alpha1.LabelPrefix) ||
		strings.HasPrefix(key, "batch.kubernetes.io/") ||
		// The Job controller's own from before it had a prefix; Jobs still carry them.
		key == "controller-uid" || key == "job-name"
}

// podFailurePolicyFor leaves out the rules that name a container which this pod does not have: the API server would
// refuse the Job, and such a rule is meant for another step. A policy without rules is refused too.
func podFailurePolicyFor(policy *batchv1.PodFailurePolicy, pod *corev1.PodSpec) *batchv1.PodFailurePolicy {
	if policy == nil {
		return nil
	}
	out := policy.DeepCopy()
	out.Rules = slices.DeleteFunc(out.Rules, func(rule batchv1.PodFailurePolicyRule) bool {
		return rule.OnExitCodes != nil && rule.OnExitCodes.ContainerName != nil &&
			!hasContainer(pod, *rule.OnExitCodes.ContainerName)
	})
	if len(out.Rules) == 0 {
		return nil
	}
	return out
}

func hasContainer(pod *corev1.PodSpec, name string) bool {
	named := func(c corev1.Container) bool { return c.Name == name }
	return slices.ContainsFunc(pod.Containers, named) || slices.ContainsFunc(pod.InitContainers, named)
}

func copyOf[T any](in *T) *T {
	if in == nil {
		return nil
	}
	out := *in
	return &out
}
