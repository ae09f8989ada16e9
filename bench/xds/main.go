// Command xds measures the Envoy management service beside go-control-plane's own
// server and caches, in one run and in turns: what a push costs the server for each
// stream, how long it takes until every proxy has it, what an idle stream keeps, and
// how long a fleet takes to come back. Servers and clients are processes of their own,
// so that what is counted is the server's.
package main

import (
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	region  = "us-west-2"
	account = "123456789012"
	host    = "appmesh-envoy-management." + region + ".amazonaws.com"
	nodeARN = "arn:aws:appmesh:" + region + ":" + account + ":mesh/bench/virtualNode/front"
)

func main() {
	latchwork := flag.String("latchwork", "bin/latchwork", "the program to measure")
	streams := flag.Int("streams", 1000, "streams")
	pushes := flag.Int("pushes", 10, "pushes that are measured")
	storm := flag.Int("storm", 5000, "proxies that come back at once")
	peer := flag.String("peer", "", "be the peer: snapshot or linear")
	clusters := flag.Int("clusters", 100, "clusters of the peer")
	serve := flag.String("serve", "", "where the peer serves")
	flag.Parse()
	var err error
	if *peer != "" {
		err = runPeer(*peer, *serve, *clusters)
	} else {
		err = run(*latchwork, *streams, *pushes, *storm)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/xds:", err)
		os.Exit(1)
	}
}

// subject is a server that is measured.
type subject struct {
	cmd   *exec.Cmd
	addr  string
	roots *x509.CertPool
	creds aws.Credentials
	// change makes the change number n: one cluster is another.
	change func(n int) error
	stop   func()
}

// result is what was measured of one subject.
type result struct {
	cpu       time.Duration // of the server, for each stream and push
	latencies []time.Duration
	bytes     int64
	resident  int64 // KiB for each stream
}

func run(latchwork string, streams, pushes, storm int) error {
	fmt.Printf("\n## Envoy management service\n\n`make bench` runs `bench/xds`: %d streams with TLS of one mesh endpoint, one cluster of 100 or of 1,000 changes, each proxy acknowledges; %d pushes. %d CPUs, shared by server and clients. The peers are go-control-plane 0.14's server with its own caches, authentication and authorization left out. CPU is the server's, by the kernel's count; of Latchwork it holds the call of the API, the store and the translation.\n\n",
		streams, pushes, runtime.NumCPU())
	fmt.Println("| server | protocol | clusters | CPU for each stream and push | ratio to Latchwork | all have it, median (worst) | bytes a stream and push | KiB a stream |\n|---|---|---|---|---|---|---|---|")
	for _, incremental := range []bool{true, false} {
		for _, clusters := range []int{100, 1000} {
			var ours result
			subjects := []string{"latchwork", "snapshot", "linear"}
			for _, kind := range subjects {
				if kind == "snapshot" && clusters == 1000 && !incremental {
					continue // minutes, and the answer is known: ten times that of 100
				}
				r, err := measure(kind, latchwork, clusters, streams, pushes, incremental)
				if err != nil {
					return fmt.Errorf("%s with %d clusters: %w", kind, clusters, err)
				}
				if kind == "latchwork" {
					ours = r
				}
				protocol := "state of the world"
				if incremental {
					protocol = "incremental"
				}
				slices.Sort(r.latencies)
				fmt.Printf("| %s | %s | %d | %.0f µs | %.1f | %d ms (%d ms) | %d | %d |\n", map[string]string{"latchwork": "Latchwork", "snapshot": "go-control-plane, SnapshotCache", "linear": "go-control-plane, LinearCache"}[kind],
					protocol, clusters, float64(r.cpu.Nanoseconds())/1000, float64(r.cpu)/float64(ours.cpu),
					r.latencies[len(r.latencies)/2].Milliseconds(), r.latencies[len(r.latencies)-1].Milliseconds(), r.bytes, r.resident)
			}
		}
	}
	return comeBack(latchwork, storm)
}

// comeBack measures a fleet that loses its server and comes back at once.
func comeBack(latchwork string, n int) error {
	s, err := startLatchwork(latchwork, 100)
	if err != nil {
		return err
	}
	defer s.stop()
	before := resident(s.cmd.Process.Pid)
	cpu := processor(s.cmd.Process.Pid)
	began := time.Now()
	f, err := connect(s, n, true)
	if err != nil {
		return err
	}
	took := time.Since(began)
	used := processor(s.cmd.Process.Pid) - cpu
	time.Sleep(2 * time.Second)
	idle := resident(s.cmd.Process.Pid)
	fmt.Printf("\nA storm: %d proxies connect at once, each with a TLS handshake, a signature, a decision and 100 clusters: all are served after %.1f s (the clients' own work on the same CPUs included), the server used %.0f µs for each. %d idle streams keep %d MiB resident (%d KiB each; the server without them %d MiB).\n",
		n, took.Seconds(), float64(used.Microseconds())/float64(n), n, idle>>10, (idle-before)/int64(n), before>>10)
	f.close()
	return nil
}

func measure(kind, latchwork string, clusters, streams, pushes int, incremental bool) (result, error) {
	var s *subject
	var err error
	if kind == "latchwork" {
		s, err = startLatchwork(latchwork, clusters)
	} else {
		s, err = startPeer(kind, clusters)
	}
	if err != nil {
		return result{}, err
	}
	defer s.stop()
	idle := resident(s.cmd.Process.Pid)
	f, err := connect(s, streams, incremental)
	if err != nil {
		return result{}, err
	}
	defer f.close()
	time.Sleep(time.Second)
	r := result{resident: (resident(s.cmd.Process.Pid) - idle) / int64(streams)}
	for n := range 2 { // warm
		if _, err := f.push(s, n); err != nil {
			return r, err
		}
	}
	received := f.bytes.Load()
	cpu := processor(s.cmd.Process.Pid)
	for n := range pushes {
		took, err := f.push(s, n+2)
		if err != nil {
			return r, err
		}
		r.latencies = append(r.latencies, took)
	}
	r.cpu = (processor(s.cmd.Process.Pid) - cpu) / time.Duration(pushes*streams)
	r.bytes = (f.bytes.Load() - received) / int64(pushes*streams)
	return r, nil
}

// processor is how long a process has used a CPU.
func processor(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is how much memory a process has, in KiB.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}
