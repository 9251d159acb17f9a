// Package follow decides in which order the logs of a sequence are shown, and what a stream that broke has to bring again. It reads
// and waits for nothing itself: [Walk] says what comes next, [Session] what to ask for, and [Filter] leaves out what was shown already.
package follow
