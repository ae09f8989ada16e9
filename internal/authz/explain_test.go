package authz_test

import (
	"encoding/json"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// explained checks that the explanation of a question has the verdict of its
// decision, and that the layers bear it out.
func explained(t reporter, q *authz.Query, d authz.Decision) {
	t.Helper()
	explainedIn(t, world, q, d)
}

type reporter interface {
	Helper()
	Errorf(string, ...any)
}

func explainedIn(t reporter, world *snapshot.Snapshot, q *authz.Query, d authz.Decision) {
	t.Helper()
	again := authz.Decide(world, q)
	// What stands for a policy that is gone is made anew each time.
	if d.Policy != nil && again.Policy != nil && d.Policy.Compiled == nil && d.Policy.ARN == again.Policy.ARN {
		again.Policy = d.Policy
	}
	if again != d {
		t.Errorf("decided %+v, and asked again %+v", d, again)
	}
	e := authz.Explain(world, q)
	if e.Allowed != d.Allowed || e.Cause != d.Cause.String() || e.Text != d.DeniedText(q) {
		t.Errorf("decided %+v, explained as %t %s %q", d, e.Allowed, e.Cause, e.Text)
	}
	if d.Allowed != (e.Stage == "") {
		t.Errorf("allowed %t, at stage %q", d.Allowed, e.Stage)
	}
	want := map[authz.Cause]string{authz.ExplicitDeny: "explicit deny", authz.ImplicitDeny: "no match"}[d.Cause]
	var deciding []authz.LayerResult
	for _, l := range e.Layers {
		if l.Decides {
			deciding = append(deciding, l)
		}
		switch {
		case l.Verdict == "explicit deny" && d.Cause != authz.ExplicitDeny:
			t.Errorf("%s although the %s layer denies explicitly", d.Cause, l.Stage)
		case l.Verdict != "allow" && l.Verdict != "off" && d.Allowed && q.Service != nil:
			t.Errorf("allowed although the %s layer says %s", l.Stage, l.Verdict)
		}
		for _, p := range l.Policies {
			// Of service control policies every level must allow.
			if l.Verdict == "no match" && p.Verdict != "no match" && l.Stage != "service-control" {
				t.Errorf("the %s layer says nothing, its policy %s %s", l.Stage, p.Name, p.Verdict)
			}
		}
	}
	switch {
	case d.Allowed && len(deciding) > 0:
		t.Errorf("allowed, and %+v denies", deciding)
	case !d.Allowed && len(deciding) != 1:
		t.Errorf("denied at %s by %d layers of %+v", e.Stage, len(deciding), e.Layers)
	case !d.Allowed && (deciding[0].Verdict != want || deciding[0].Stage != d.Stage.String()):
		t.Errorf("%s at %s, where the layer says %s", d.Cause, d.Stage, deciding[0].Verdict)
	}
	if d.Cause == authz.ExplicitDeny && d.Policy == nil {
		t.Errorf("an explicit deny at %s by no policy", d.Stage)
	}
	if _, err := json.Marshal(e); err != nil {
		t.Errorf("the explanation has no JSON: %v", err)
	}
}
