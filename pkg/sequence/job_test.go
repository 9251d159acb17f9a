package sequence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// richSequence sets everything that reaches a Job.
func richSequence() *v1alpha1.SequentialJob {
	sj := newSequence("extract", "transform", "load")
	sj.Spec.Containers[1].Command = []string{"transform"}
	sj.Spec.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	sj.Spec.BackoffLimit = new(int32(3))
	sj.Spec.Template = corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{
				"app": "etl", "kueue.x-k8s.io/queue-name": "nightly",
				"batch.example.com/step-name": "mine", "batch.example.com/other": "mine",
				"batch.kubernetes.io/job-name": "mine", "controller-uid": "mine", "job-name": "mine",
			},
			Annotations: map[string]string{
				"note": "kept", "batch.example.com/note": "dropped", "batch.kubernetes.io/job-tracking": "dropped",
			},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: "etl",
			NodeSelector:       map[string]string{"disk": "ssd"},
			Volumes:            []corev1.Volume{{Name: "data"}},
			InitContainers:     []corev1.Container{{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}},
		},
	}
	return sj
}

func TestNewJob(t *testing.T) {
	labels := map[string]string{
		"app": "etl", "kueue.x-k8s.io/queue-name": "nightly",
		"batch.example.com/sequentialjob-name": "etl",
		"batch.example.com/sequentialjob-uid":  "uid-etl",
		"batch.example.com/step-index":         "1",
		"batch.example.com/step-name":          "transform",
	}
	sj := richSequence()
	sj.Generation = 3
	want := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "etl-1", Labels: labels,
			Annotations: map[string]string{"note": "kept", "batch.example.com/generation": "3", "batch.example.com/step-hash": "148558e9300c1c87"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "batch.example.com/v1alpha1", Kind: "SequentialJob", Name: "etl", UID: "uid-etl",
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit:         new(int32(3)),
			PodReplacementPolicy: new(batchv1.Failed),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"note": "kept"}},
				Spec: corev1.PodSpec{
					RestartPolicy:      corev1.RestartPolicyNever,
					ServiceAccountName: "etl",
					NodeSelector:       map[string]string{"disk": "ssd"},
					Volumes:            []corev1.Volume{{Name: "data"}},
					InitContainers:     []corev1.Container{{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}},
					Containers: []corev1.Container{{
						Name: "transform", Image: "image/transform", Command: []string{"transform"},
						VolumeMounts:             []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
						TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
					}},
				},
			},
		},
	}
	if diff := cmp.Diff(want, sequence.NewJob(sj, 1, 0)); diff != "" {
		t.Errorf("unexpected Job (-want +got):\n%s", diff)
	}
}

func TestNewJobWithoutTemplate(t *testing.T) {
	job := sequence.NewJob(newSequence("extract"), 0, 0)
	if job.Spec.BackoffLimit != nil {
		t.Errorf("backoffLimit is %d, want the Job's own default", *job.Spec.BackoffLimit)
	}
	if job.Spec.PodFailurePolicy != nil {
		t.Errorf("podFailurePolicy is %v, want none", job.Spec.PodFailurePolicy)
	}
	if job.Spec.TTLSecondsAfterFinished != nil {
		t.Error("a TTL removes the Job before it is seen to end")
	}
	if job.Spec.Template.Labels[v1alpha1.StepNameLabel] != "extract" {
		t.Errorf("the pod carries no step name: %v", job.Spec.Template.Labels)
	}
}

func TestNewJobKeepsWhatTheUserChose(t *testing.T) {
	sj := newSequence("extract")
	sj.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	sj.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageReadFile
	spec := sequence.NewJob(sj, 0, 0).Spec.Template.Spec
	if spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		t.Errorf("restartPolicy is %q", spec.RestartPolicy)
	}
	if policy := spec.Containers[0].TerminationMessagePolicy; policy != corev1.TerminationMessageReadFile {
		t.Errorf("terminationMessagePolicy is %q", policy)
	}
}

func TestNewJobSharesNothing(t *testing.T) {
	sj := richSequence()
	sj.Spec.PodFailurePolicy = policy("")
	want := sj.DeepCopy()
	job := sequence.NewJob(sj, 1, 0)

	job.Labels["app"] = "changed"
	if job.Spec.Template.Labels["app"] != "etl" {
		t.Error("Job and pod share their labels")
	}
	job.Annotations["note"] = "changed"
	if job.Spec.Template.Annotations["note"] != "kept" {
		t.Error("Job and pod share their annotations")
	}
	pod := &job.Spec.Template.Spec
	pod.Containers[0].Command[0] = "changed"
	pod.Containers[0].VolumeMounts[0].Name = "changed"
	pod.InitContainers[0].Name = "changed"
	pod.NodeSelector["disk"] = "changed"
	pod.Volumes[0].Name = "changed"
	*job.Spec.BackoffLimit = 9
	job.Spec.PodFailurePolicy.Rules[0].Action = "changed"
	if diff := cmp.Diff(want, sj); diff != "" {
		t.Errorf("a change of the Job reached the SequentialJob:\n%s", diff)
	}
}

// policy returns a policy with one rule a container name; "" stands for all containers.
func policy(containers ...string) *batchv1.PodFailurePolicy {
	out := &batchv1.PodFailurePolicy{}
	for _, name := range containers {
		rule := batchv1.PodFailurePolicyRule{
			Action:      batchv1.PodFailurePolicyActionFailJob,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: "In", Values: []int32{42}},
		}
		if name != "" {
			rule.OnExitCodes.ContainerName = new(name)
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

func TestPodFailurePolicyOfAStep(t *testing.T) {
	onEviction := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action:          batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: "True"}},
	}}}
	for name, tc := range map[string]struct{ policy, want *batchv1.PodFailurePolicy }{
		"none":                               {nil, nil},
		"a rule for all containers":          {policy(""), policy("")},
		"a rule for this step":               {policy("transform"), policy("transform")},
		"a rule for a helper":                {policy("proxy"), policy("proxy")},
		"a rule for another step":            {policy("load"), nil},
		"rules for all steps, in order":      {policy("extract", "transform", "load", "proxy"), policy("transform", "proxy")},
		"a rule on pod conditions":           {onEviction, onEviction},
		"a policy without rules is left out": {policy(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			sj := richSequence()
			sj.Spec.PodFailurePolicy = tc.policy
			if diff := cmp.Diff(tc.want, sequence.NewJob(sj, 1, 0).Spec.PodFailurePolicy); diff != "" {
				t.Errorf("unexpected policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewCheckJob(t *testing.T) {
	sj := richSequence()
	sj.Spec.PodFailurePolicy = policy("extract", "load", "unknown")
	for first, tc := range map[int]struct {
		names  []string
		policy *batchv1.PodFailurePolicy
	}{
		0: {[]string{"extract", "transform", "load"}, policy("extract", "load")},
		1: {[]string{"transform", "load"}, policy("load")},
		2: {[]string{"load"}, policy("load")},
	} {
		job := sequence.NewCheckJob(sj, []int{0, 1, 2}[first:])
		var names []string
		for _, c := range job.Spec.Template.Spec.Containers {
			names = append(names, c.Name)
		}
		if diff := cmp.Diff(tc.names, names); diff != "" {
			t.Errorf("unexpected containers from step %d on (-want +got):\n%s", first, diff)
		}
		if job.Name != "" || job.GenerateName != "etl-" {
			t.Errorf("name %q, generateName %q: want a name that cannot clash", job.Name, job.GenerateName)
		}
		if diff := cmp.Diff(tc.policy, job.Spec.PodFailurePolicy); diff != "" {
			t.Errorf("unexpected policy from step %d on (-want +got):\n%s", first, diff)
		}
		if _, ok := job.Labels[v1alpha1.StepIndexLabel]; ok {
			t.Error("a Job of all steps carries the label of one")
		}
	}
}

func TestNewStepCheckJob(t *testing.T) {
	sj := richSequence()
	want := sequence.NewJob(sj, 1, 0)
	want.Name, want.GenerateName = "", "etl-1-"
	if diff := cmp.Diff(want, sequence.NewStepCheckJob(sj, 1)); diff != "" {
		t.Errorf("it differs from the step's Job in more than the name (-want +got):\n%s", diff)
	}
}

// What has to be allocated is for the steps that use it.
func TestAPodGetsOnlyTheClaimsAndDisksThatItsContainersUse(t *testing.T) {
	disk := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			Ephemeral: &corev1.EphemeralVolumeSource{}}}
	}
	sj := newSequence("prepare", "train", "format")
	template := &sj.Spec.Template.Spec
	template.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}, {Name: "nic"}, {Name: "nobody's"}}
	template.Volumes = []corev1.Volume{
		disk("mounted"), disk("raw"), disk("helper's"), disk("unused"),
		disk("scratch"),
		{Name: "shared", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}},
		{Name: "settings", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	template.InitContainers = []corev1.Container{{Name: "helper", VolumeMounts: []corev1.VolumeMount{{Name: "helper's"}}}}
	template.InitContainers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "nic"}}
	sj.Spec.Containers[1].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	sj.Spec.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "mounted"}, {Name: "scratch"}}
	sj.Spec.Containers[2].VolumeDevices = []corev1.VolumeDevice{{Name: "raw"}}
	type parts struct{ Claims, Volumes []string }
	of := func(job *batchv1.Job) (out parts) {
		for _, claim := range job.Spec.Template.Spec.ResourceClaims {
			out.Claims = append(out.Claims, claim.Name)
		}
		for _, volume := range job.Spec.Template.Spec.Volumes {
			out.Volumes = append(out.Volumes, volume.Name)
		}
		return out
	}
	for name, tc := range map[string]struct {
		job  *batchv1.Job
		want parts
	}{
		"a step that uses none": {sequence.NewJob(sj, 0, 0), parts{[]string{"nic"}, []string{"helper's", "shared", "settings", "empty"}}},
		"a step that uses a claim and two disks": {sequence.NewJob(sj, 1, 0),
			parts{[]string{"gpu", "nic"}, []string{"mounted", "helper's", "scratch", "shared", "settings", "empty"}}},
		"a step that uses a disk without a file system": {sequence.NewJob(sj, 2, 0),
			parts{[]string{"nic"}, []string{"raw", "helper's", "shared", "settings", "empty"}}},
		"the dry run of all": {sequence.NewCheckJob(sj, []int{0, 1, 2}),
			parts{[]string{"gpu", "nic"}, []string{"mounted", "raw", "helper's", "scratch", "shared", "settings", "empty"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, of(tc.job)); diff != "" {
				t.Errorf("unexpected parts of the pod (-want +got):\n%s", diff)
			}
		})
	}
	if len(template.Volumes) != 8 || len(template.ResourceClaims) != 3 || template.Volumes[0].Name != "mounted" {
		t.Errorf("the template itself was changed: %+v", template)
	}
}
