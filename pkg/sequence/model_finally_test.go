package sequence_test

// What the model is searched for about spec.finally and spec.cancel.

// finallyScenarios take some seconds together.
var finallyScenarios = []scenario{
	{name: "finally: a step fails, and so may what runs finally", steps: 1, finally: 2, controllers: 2, budget: budget{Failures: 2}},
	{name: "finally: Jobs are deleted", steps: 1, finally: 2, controllers: 1, careless: whileOneWorks, budget: budget{JobDeletions: 2}},
	{name: "finally: resumed after its end", steps: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Failures: 1, JobDeletions: 1, Raises: 1}},
	{name: "finally: added while the sequence runs", steps: 1, controllers: 2, budget: budget{Failures: 1, FinallyEdits: 1}},
	{name: "finally: edited before it starts", steps: 1, finally: 2, controllers: 1, careless: whileOneWorks, budget: budget{Failures: 1, FinallyEdits: 1}},
	{name: "finally: suspended, by a user and a queue", steps: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Suspensions: 1, Queueings: 1, Failures: 1}},
	{name: "finally: deleted and created again", steps: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Deletions: 1, Creations: 1, Failures: 1}},
	{name: "finally: the name of a Job is taken", steps: 1, finally: 2, controllers: 2, taken: "etl-f0", budget: budget{Failures: 1}},
	{name: "finally: requests are refused, and answers lost", steps: 1, finally: 1, controllers: 1, budget: budget{Refusals: 2, Failures: 1}},
	{name: "finally: after the success of a pod", steps: 1, finally: 1, controllers: 2, byPod: true, budget: budget{Failures: 1}},
	{name: "cancelled", steps: 2, controllers: 2, budget: budget{Cancels: 1}},
	{name: "cancelled, with retries and finally", steps: 1, retries: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Cancels: 1, Failures: 1, Raises: 1}},
	{name: "cancelled while a user and a queue suspend", steps: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Cancels: 1, Suspensions: 1, Queueings: 1}},
	{name: "cancelled: by pods", steps: 2, finally: 1, controllers: 1, byPod: true, careless: whileOneWorks, budget: budget{Cancels: 1}},
	{name: "cancelled and edited", steps: 2, controllers: 1, careless: whileOneWorks, budget: budget{Cancels: 1, Edits: 1}},
}

// fullFinallyScenarios take some minutes.
var fullFinallyScenarios = []scenario{
	{name: "finally: resumed after its end, with two controllers", steps: 1, finally: 1, controllers: 2, budget: budget{Failures: 2, Raises: 1}},
	{name: "finally: edited before it starts, with two controllers", steps: 1, finally: 2, controllers: 2, budget: budget{Failures: 1, FinallyEdits: 1}},
	{name: "finally: Jobs are deleted, with two controllers", steps: 1, finally: 2, controllers: 2, budget: budget{JobDeletions: 1, Failures: 1}},
	{name: "finally: much at once, one controller at a time", steps: 2, retries: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Failures: 1, JobDeletions: 1, Suspensions: 1, Deletions: 1}},
	{name: "finally: by pods, and things are taken off", steps: 2, finally: 1, controllers: 1, byPod: true, budget: budget{Failures: 1, Thefts: 2}},
	{name: "cancelled, with retries and finally, with two controllers", steps: 1, retries: 1, finally: 1, controllers: 2,
		budget: budget{Cancels: 1, Failures: 1, Raises: 1}},
	{name: "cancelled: Jobs are deleted, and retries raised", steps: 1, retries: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Cancels: 1, Failures: 1, JobDeletions: 1, Raises: 1}},
	{name: "cancelled while a user and a queue suspend, with finally", steps: 1, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Cancels: 1, Suspensions: 1, Queueings: 2}},
	{name: "cancelled: by pods, suspended, failing and switched", steps: 2, finally: 1, controllers: 1, byPod: true, careless: whileOneWorks,
		budget: budget{Cancels: 1, Suspensions: 1, Failures: 1, Switches: 1}},
	{name: "cancelled: by pods, with two controllers", steps: 2, finally: 1, controllers: 2, byPod: true, budget: budget{Cancels: 1, Failures: 1}},
	{name: "cancelled and edited, while requests are refused", steps: 2, finally: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Cancels: 1, Edits: 1, Refusals: 1}},
}
