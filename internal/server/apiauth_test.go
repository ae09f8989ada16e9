package server

import (
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
)

func TestSkew(t *testing.T) {
	for p, want := range map[awsapi.Protocol]time.Duration{
		awsapi.RESTJSON: 5 * time.Minute, awsapi.JSON: 5 * time.Minute, awsapi.Query: 15 * time.Minute, awsapi.EC2Query: 15 * time.Minute,
	} {
		if got := skew(p); got != want {
			t.Errorf("protocol %d: %s, want %s", p, got, want)
		}
	}
}
