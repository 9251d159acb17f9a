package kubectl

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var sequentialJobs = schema.GroupVersionResource{Group: v1alpha1.GroupName, Version: v1alpha1.GroupVersion.Version, Resource: "sequentialjobs"}

// lintServer asks the API server what it would say.
type lintServer struct {
	sequentialJobs dynamic.NamespaceableResourceInterface
	// kube sends JSON: of what is sent as protobuf, an older API server leaves out the fields that it does not know.
	kube kubernetes.Interface
	// asked is what the last request was about.
	asked access
}

// lintReport is what was found out about one manifest.
type lintReport struct {
	checked *v1alpha1.SequentialJob
	// problems are why it is refused, one a line.
	problems []string
	// open says why not all could be checked, or is empty.
	open string
}

func newLintServer(c Clients) (*lintServer, error) {
	config := rest.CopyConfig(c.Config)
	// The Jobs hold several steps at once: what is said of them by the way has the paths of none.
	config.WarningHandler = rest.NoWarnings{}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client for Jobs: %w", err)
	}
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return nil, fmt.Errorf("client for SequentialJobs: %w", err)
	}
	return &lintServer{sequentialJobs: client.Resource(sequentialJobs), kube: kube}, nil
}

// lint says what is wrong with a manifest.
func (s *lintServer) lint(ctx context.Context, o *unstructured.Unstructured) (lintReport, error) {
	if version := o.GetAPIVersion(); version != v1alpha1.GroupVersion.String() {
		return lintReport{problems: []string{fmt.Sprintf("apiVersion: Unsupported value: %q: write %s", version, v1alpha1.GroupVersion)}}, nil
	}
	answer, err := s.dryRun(ctx, o)
	if isMissingJobs(err) {
		s.asked = access{verb: "create", resource: resourceJobs}
	}
	if problems := problemsOf(err); len(problems) > 0 {
		return lintReport{problems: problems}, nil
	}
	if err != nil {
		return lintReport{}, err
	}
	sj := &v1alpha1.SequentialJob{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(answer.Object, sj); err != nil {
		return lintReport{}, fmt.Errorf("read the API server's answer: %w", err)
	}
	s.asked = access{verb: "create", resource: resourceJobs}
	findings, err := checkSteps(sj, func(job *batchv1.Job) error {
		_, err := s.kube.BatchV1().Jobs(sj.Namespace).Create(ctx, job, metav1.CreateOptions{
			FieldManager: fieldManager, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		return err
	})
	report := lintReport{checked: sj, problems: findings.Problems}
	if findings.Result == v1alpha1.SpecCheckUnknown {
		report.open = findings.Message
	}
	return report, err
}

// checkSteps checks the steps as the controller does.
func checkSteps(sj *v1alpha1.SequentialJob, try func(*batchv1.Job) error) (sequence.SpecFindings, error) {
	facts := sequence.Facts{SequentialJob: sj, Whole: true}
	for {
		action, findings := sequence.CheckSpec(facts)
		if action.Request == sequence.EndTurn {
			return findings, nil
		}
		var refusal sequence.Refusal
		if err := try(action.Job); err != nil {
			refusal = refusalOf(err)
			if refusal.Class == sequence.Unavailable || apierrors.IsForbidden(err) && isAuthorization(err) {
				return sequence.SpecFindings{}, err // it says something about the server or the user, and nothing of the steps
			}
		}
		facts = facts.With(action, sequence.Answer{Refusal: refusal})
	}
}

func refusalOf(err error) sequence.Refusal {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		answered := status.Status()
		return sequence.RefusalOf(&answered, err.Error())
	}
	return sequence.RefusalOf(nil, err.Error())
}

// dryRun returns the SequentialJob as it would be stored.
func (s *lintServer) dryRun(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	client := s.sequentialJobs.Namespace(o.GetNamespace())
	if o.GetName() != "" {
		s.asked = access{verb: "get", resource: resourceSequentialJobs}
		live, err := client.Get(ctx, o.GetName(), metav1.GetOptions{})
		switch {
		case err == nil:
			return s.dryRunEdit(ctx, live, o)
		case !apierrors.IsNotFound(err), isUnknownResource(err):
			return nil, err
		}
	}
	s.asked = access{verb: "create", resource: resourceSequentialJobs}
	return client.Create(ctx, o, metav1.CreateOptions{
		FieldManager: fieldManager, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
}

// dryRunEdit tries the edit that `kubectl apply` would make, on the server if that is how the object was made.
func (s *lintServer) dryRunEdit(ctx context.Context, live, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	s.asked = access{verb: "patch", resource: resourceSequentialJobs}
	client := s.sequentialJobs.Namespace(o.GetNamespace())
	original := live.GetAnnotations()[lastApplied]
	if manager := applyManager(live); manager != "" && original == "" {
		o = o.DeepCopy()
		o.SetManagedFields(nil)
		raw, err := o.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		return client.Patch(ctx, o.GetName(), types.ApplyPatchType, raw, metav1.PatchOptions{
			FieldManager: manager, Force: new(true), DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
	}
	patch, err := editPatch([]byte(original), o, live)
	if err != nil {
		return nil, err
	}
	return client.Patch(ctx, o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{
		FieldManager: fieldManager, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
}

// lastApplied is where `kubectl apply` notes what it applied.
const lastApplied = corev1.LastAppliedConfigAnnotation

// editPatch is what makes of an object what the manifest says, given what was applied before.
func editPatch(original []byte, o, live *unstructured.Unstructured) ([]byte, error) {
	modified, err := o.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	current, err := live.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(original, modified, current)
	if err != nil {
		return nil, fmt.Errorf("compare with what is there: %w", err)
	}
	return patch, nil
}

// applyManager returns who has applied an object on the server; "" if nobody has.
func applyManager(live *unstructured.Unstructured) string {
	for _, entry := range live.GetManagedFields() {
		if entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			return entry.Manager
		}
	}
	return ""
}

var strictProblem = regexp.MustCompile(`(?:unknown|duplicate) field "[^"]+"`)

// problemsOf returns why a SequentialJob is refused, one text a cause. It returns none if that is not for what is in it.
func problemsOf(err error) []string {
	if err == nil || apierrors.IsForbidden(err) && (isAuthorization(err) || isMissingJobs(err)) {
		return nil
	}
	if apierrors.IsBadRequest(err) || apierrors.IsInvalid(err) {
		if fields := strictProblem.FindAllString(err.Error(), -1); strings.Contains(err.Error(), "strict decoding error") && len(fields) > 0 {
			return withHints(slices.Compact(fields))
		}
	}
	refusal := refusalOf(err)
	if refusal.Class == sequence.Denied && apierrors.IsNotFound(err) {
		return nil
	}
	switch refusal.Class {
	case sequence.Invalid, sequence.TooLarge, sequence.Rejected:
		return describeCauses(refusal.Causes)
	case sequence.Denied:
		return []string{refusal.Message}
	default:
		return nil
	}
}

// misplacedSteps are where else users put the steps: fields that the API server does not know, and so has no rule for.
var misplacedSteps = []string{`unknown field "spec.steps"`, `unknown field "spec.template.containers"`}

// withHints adds to unknown fields what to write in their place, where that is known.
func withHints(fields []string) []string {
	for i, text := range fields {
		if slices.Contains(misplacedSteps, text) {
			fields[i] += ": list the steps in spec.containers"
		}
	}
	return fields
}

func describeCauses(causes []metav1.StatusCause) []string {
	var out []string
	for _, cause := range causes {
		text := strings.TrimPrefix(cause.Message, "Invalid value: null: ")
		if cause.Field != "" && cause.Field != "<nil>" {
			text = cause.Field + ": " + cause.Message
		}
		if text = strings.Join(strings.Fields(text), " "); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
