package main

import (
	"fmt"
	"testing"
)

// BenchmarkLatchwork is what a profile is taken of.
func BenchmarkLatchwork(b *testing.B) {
	r := theRequest()
	for _, sc := range scenarios {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", sc.name, n), func(b *testing.B) {
				decide, err := latchwork(policies(sc, n))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if decide(r) != sc.allowed {
						b.Fatal("decided otherwise")
					}
				}
			})
		}
	}
}
