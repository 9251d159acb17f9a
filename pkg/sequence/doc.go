// Package sequence decides what a SequentialJob does next, and never does it.
//
// It is pure: no clock, no I/O, no error, no logger; the same Facts always give the same Action, and no argument is ever
// changed. Whoever uses it works in turns. A turn begins with the Facts that a cache has, asks [Next] what to do, does that,
// adds the answer to the facts, and asks again until the turn ends:
//
//	for facts := gather(); ; {
//		action := sequence.Next(facts)
//		if action.Request == sequence.EndTurn {
//			break // and look again after action.LookAgain, or when something changes
//		}
//		facts = facts.With(action, send(action))
//	}
//
// A turn under way is nothing but its Facts. It may be dropped at any moment, by a crash or by an answer that got lost: the
// next one begins with what the API server has by then.
//
// The rules of the protocol:
//
//   - A step's Job is created before its start is recorded in the status. Its name is fixed, so that the name is a lock.
//   - What creates or changes a Job was decided on a SequentialJob that was read live in the same turn.
//   - What a decision takes for absent was asked for by its name in the same turn.
//   - A Job belongs to a SequentialJob by the UID of its controller, or by the UID that the status has. Never by a label.
//
// The files testdata/*.txt tell what follows from what, request by request.
package sequence
