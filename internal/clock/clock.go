// Package clock is the only place that reads the time of day. Everything else
// takes a Clock, so that tests decide what time it is.
package clock

import "time"

// Clock tells the time.
type Clock func() time.Time

// System is the machine's clock.
func System() time.Time { return time.Now() }

// Fixed is a clock that stands still, for tests.
func Fixed(t time.Time) Clock { return func() time.Time { return t } }
