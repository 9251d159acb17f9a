package controller

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// errWaiting asks for another try later, for a cause that the status already tells.
var errWaiting = errors.New("the next step waits")

// sync takes one SequentialJob as far as it goes now: it asks what to do next, sends that request, adds the answer to the facts and
// asks again.
func (c *Controller) sync(ctx context.Context, name cache.ObjectName) error {
	facts, err := c.gather(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read from cache: %w", err)
	}
	var refusal error
	for begun := facts; ; {
		action := sequence.Next(facts)
		if action.Request == sequence.EndTurn {
			c.putBack(&begun, &facts)
			c.publish(facts.SequentialJob, action.Events)
			return c.endTurn(name, action, refusal)
		}
		answer, err := c.send(ctx, facts.SequentialJob, action)
		if err != nil {
			answer.Refusal = refusalOf(err)
		}
		before := facts.SequentialJob
		facts = facts.With(action, answer)
		switch {
		case err != nil && action.Optional:
			klog.FromContext(ctx).V(2).Info("Cannot find out why a step makes no progress", "request", action.Request, "reason", err)
		case err != nil && facts.Answers[action.Request].Class != "": // that there is no such Job is an answer
			refusal = describeRefusal(action, err)
		case err == nil:
			c.record(ctx, before, facts.SequentialJob, action, answer)
		}
	}
}

// gather collects what is known without asking the API server.
func (c *Controller) gather(name cache.ObjectName) (sequence.Facts, error) {
	sj, err := c.informers.sequentialJob(name)
	if err != nil {
		return sequence.Facts{}, err
	}
	sj = c.memory.newest(sj)
	jobs, err := c.informers.jobsOf(sj)
	if err != nil {
		return sequence.Facts{}, err
	}
	facts := sequence.Facts{Now: c.now(), SequentialJob: sj, Jobs: jobs}
	if step := lastStep(sj); step != nil && step.State == v1alpha1.StepRunning {
		if facts.PodSucceeded, err = c.informers.hasPodSucceeded(sj.Namespace, step.JobUID); err != nil {
			return sequence.Facts{}, err
		}
	}
	c.memory.addTo(&facts)
	return facts, nil
}

// endTurn sees to it that the next turn comes when it is due.
func (c *Controller) endTurn(name cache.ObjectName, end sequence.Action, refusal error) error {
	if end.LookAgain > 0 {
		c.queue.AddAfter(name, end.LookAgain)
	}
	switch {
	case end.AtOnce:
		c.queue.Add(name)
	case end.TryAgain && refusal != nil:
		return refusal
	case end.TryAgain:
		return errWaiting
	}
	return nil
}

// describeRefusal says what was refused. What the status tells is no error of this process.
func describeRefusal(action sequence.Action, err error) error {
	switch action.Request {
	case sequence.CreateJob, sequence.ChangeJob, sequence.CheckSteps:
		return fmt.Errorf("%w: %s: %w", errWaiting, action.Request, err)
	default:
		return fmt.Errorf("%s: %w", action.Request, err)
	}
}

func refusalOf(err error) sequence.Refusal {
	if errors.Is(err, errPutOff) {
		return sequence.Refusal{Class: sequence.PutOff, Message: err.Error()}
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		answered := status.Status()
		return sequence.RefusalOf(&answered, err.Error())
	}
	return sequence.RefusalOf(nil, err.Error())
}

// record notes what a request that succeeded has changed: in the memory of this process, in metrics, events and the log.
func (c *Controller) record(ctx context.Context, before, after *v1alpha1.SequentialJob, action sequence.Action, answer sequence.Answer) {
	logAction(ctx, action, answer)
	switch action.Request {
	case sequence.CreateJob:
		c.memory.rememberJob(after.UID, answer.Job)
		c.settle(after)
		c.measureGap(after, action.Step)
	case sequence.StoreStatus:
		c.remember(after)
		c.measure(before, &after.Status)
	case sequence.AddFinalizer, sequence.RemoveFinalizer:
		c.remember(after)
	default:
	}
	c.publish(after, action.Events)
}

// remember keeps what was written until the cache has it.
func (c *Controller) remember(sj *v1alpha1.SequentialJob) {
	c.memory.remember(sj)
	c.settle(sj)
}

func (c *Controller) putBack(begun, ended *sequence.Facts) {
	if ended.SequentialJob != nil {
		c.memory.putBack(begun, ended)
		c.settle(ended.SequentialJob)
	}
}

func (c *Controller) settle(sj *v1alpha1.SequentialJob) {
	c.memory.settle(sj, c.cached(owner{cache.MetaObjectToName(sj), sj.UID}))
}

func (c *Controller) publish(sj *v1alpha1.SequentialJob, events []sequence.Event) {
	for _, event := range events {
		c.recorder.Event(sj, event.Type, event.Reason, event.Message)
	}
}
