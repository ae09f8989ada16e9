package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchwork/latchwork/internal/snapshot"
)

// adminHandler serves health, readiness and metrics, without secrets and without
// authentication: bind it to where only operators are.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state := s.readiness(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// Readiness is what /readyz answers.
type Readiness struct {
	Ready    bool  `json:"ready"`
	Revision int64 `json:"revision"`
	// Reasons say why the server is not ready; Warnings what is wrong all the same.
	Reasons  []string `json:"reasons,omitzero"`
	Warnings []string `json:"warnings,omitzero"`
	// StaleSeconds is how long ago the store was last known to be followed; 0 while
	// it is.
	StaleSeconds float64 `json:"staleSeconds"`
}

func (s *Server) readiness(ctx context.Context) Readiness {
	out := Readiness{Ready: true}
	not := func(format string, args ...any) {
		out.Ready = false
		out.Reasons = append(out.Reasons, fmt.Sprintf(format, args...))
	}
	if snap := s.publisher.Current(); snap == nil {
		not("no state has been read yet")
	} else {
		out.Revision = int64(snap.Revision())
		if n := len(snap.Problems()); n > 0 {
			out.Warnings = append(out.Warnings, fmt.Sprintf("%d records cannot be compiled; what depends on them is denied", n))
		}
	}
	if since := s.publisher.BrokenSince(); !since.IsZero() {
		out.StaleSeconds = s.clock().Sub(since).Seconds()
		not("the store cannot be followed; the state in force is %.0f seconds old", out.StaleSeconds)
	}
	if err := s.backend.Healthy(ctx); err != nil {
		not("the store cannot be written to: %v", err)
	}
	select {
	case <-s.gateway.Ready():
	default:
		not("the gateway has not opened its ports yet")
	}
	for _, a := range s.cfg.accounts {
		if s.ems != nil && a.ProxyAuthorization == string(snapshot.ProxyAuthorizationOff) {
			out.Warnings = append(out.Warnings, fmt.Sprintf("Envoys of account %s are served unsigned and unauthorized: proxy-authorization is off", a.ID))
		}
	}
	for port, err := range s.gateway.Problems() {
		out.Warnings = append(out.Warnings, fmt.Sprintf("listener port %d is not open: %v", port, err))
	}
	return out
}
