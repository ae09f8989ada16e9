package sigv4

import (
	"crypto/ecdsa"
	"runtime"
)

// Occupy takes all places of SigV4A until release is called.
func (v *Verifier) Occupy() (release func()) {
	n := cap(v.asymmetric.running)
	for range n {
		v.asymmetric.enter()
	}
	return func() {
		for range n {
			v.asymmetric.leave()
		}
	}
}

// MaxWaiting is how many verifications of SigV4A may wait.
func (v *Verifier) MaxWaiting() int { return maxWaiting * max(1, runtime.GOMAXPROCS(0)/2) }

// DerivePublic derives the public key of SigV4A.
func DerivePublic(accessKeyID, secret string) (*ecdsa.PublicKey, error) {
	return derivePublic(accessKeyID, Secret(secret))
}
