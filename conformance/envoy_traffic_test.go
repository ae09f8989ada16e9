//go:build conformance

package conformance

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// load calls until it is told to stop. No call may fail.
func load(t *testing.T, url, host string) (stop func()) {
	t.Helper()
	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				calls.Add(1)
				if status, body := call(t, url, host); status != 200 && failed.Add(1) == 1 {
					t.Logf("%s (Host %s) under load: %d %s", url, host, status, body)
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
		if failed.Load() > 0 {
			t.Errorf("%d of %d calls of %s failed while the configuration changed", failed.Load(), calls.Load(), url)
		}
	})
	t.Cleanup(stop)
	return stop
}

// toNode is a route that sends all to one virtual node.
func toNode(name string) string {
	return `{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[{"virtualNode":"` + name + `","weight":1}]}}}`
}

// toService is a gateway route of a prefix.
func toService(prefix, name string) string {
	return `{"httpRoute":{"match":{"prefix":"` + prefix + `"},"action":{"target":{"virtualService":{"virtualServiceName":"` + name + `"}}}}}`
}

// TestWalkReplacement: targets, providers and virtual services are replaced by others
// that Envoys did not know and have to check first, and no call is lost.
func TestWalkReplacement(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "replace", 31)
	for _, name := range []string{"v1", "v2"} {
		address := f.address()
		f.node(name, listen(address, "http", 8080, `,"healthCheck":{"protocol":"http","path":"/ping","healthyThreshold":2,"unhealthyThreshold":2,"timeoutMillis":2000,"intervalMillis":5000}`))
		f.machine(name, address, 8080, nil)
	}
	f.router("color", "http", 8080)
	f.route("color", "all", toNode("v1"))
	f.service("color.local", "color", "")
	f.service("other.local", "", "v2")
	f.gateway("edge", `{"listeners":[{"portMapping":{"port":9080,"protocol":"http"}}]}`)
	f.gatewayRoute("edge", "all", toService("/", "color.local"))
	f.gatewayRoute("edge", "color", toService("/keep/color", "color.local"))
	f.gatewayRoute("edge", "other", toService("/keep/other", "other.local"))
	f.unsigned("virtualGateway", "edge")
	// One of the virtual nodes' Envoys is told the whole state, the other what changes.
	urls := map[string]string{}
	for _, name := range []string{"one", "two"} {
		address := f.address()
		f.node(name, listen(address, "http", 8080, "", backends("color.local")))
		f.machine(name, address, 8080, nil)
		urls["http://"+address+":15001/"] = "color.local"
	}
	edge := f.address()
	f.connect("virtualGateway", "edge", edge, "")
	gateway := "http://" + edge + ":9080/"
	urls[gateway] = "any"
	all := func(name string) {
		t.Helper()
		for url, host := range urls {
			reaches(t, 200, name, url, host)
		}
	}
	all("v1")
	var stops []func()
	for url, host := range urls {
		stops = append(stops, load(t, url, host))
	}
	provider := func(kind, name string) {
		t.Helper()
		f.put("/replace/virtualServices/color.local", `{"spec":{"provider":{"`+kind+`":{"`+kind+`Name":"`+name+`"}}}}`)
	}
	for range 3 {
		f.updateRoute("color", "all", toNode("v2"))
		all("v2")
		provider("virtualNode", "v1")
		all("v1")
		f.put("/replace/virtualGateway/edge/gatewayRoutes/all", `{"spec":`+toService("/", "other.local")+`}`)
		reaches(t, 200, "v2", gateway, "any")
		f.put("/replace/virtualGateway/edge/gatewayRoutes/all", `{"spec":`+toService("/", "color.local")+`}`)
		reaches(t, 200, "v1", gateway, "any")
		provider("virtualRouter", "color")
		all("v2")
		f.updateRoute("color", "all", toNode("v1"))
		all("v1")
	}
	for _, stop := range stops {
		stop()
	}
}

// TestWalkRefusedBeside: Envoys without the permission, from the beginning or from
// some time on, are no matter to the others: these are brought up to date, and traffic
// goes on, also through an Envoy that has lost it.
func TestWalkRefusedBeside(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "beside", 32)
	front, v1, v2 := f.address(), f.address(), f.address()
	f.node("v1", listen(v1, "http", 8080, ""))
	f.node("v2", listen(v2, "http", 8080, ""))
	f.node("other", listen(f.address(), "http", 8080, ""))
	f.router("color", "http", 8080)
	f.route("color", "all", toNode("v1"))
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	one := f.machine("v1", v1, 8080, nil)
	two := f.machine("v2", v2, 8080, nil)
	e := f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	reaches(t, 200, "v1", url, "color.local")
	stop := load(t, url, "color.local")
	f.unsigned("virtualNode", "other")
	others := map[*envoy]int{e: e.mark(), two: two.mark()}
	mark := one.mark()
	f.aws(f.admin, "iam", "delete-role-policy", "--role-name", "beside-v1", "--policy-name", "envoy")
	one.saysAfter(mark, denied(arnOf(account, "beside/virtualNode/v1")))
	f.updateRoute("color", "all", toNode("v2"))
	reaches(t, 200, "v2", url, "color.local")
	f.updateRoute("color", "all", toNode("v1"))
	reaches(t, 200, "v1", url, "color.local")
	for e, mark := range others {
		if said := e.output()[mark:]; strings.Contains(said, "closed:") {
			t.Errorf("another Envoy says\n%s", said)
		}
	}
	stop()
}
