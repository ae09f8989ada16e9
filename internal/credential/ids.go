package credential

import (
	"crypto/rand"
	"encoding/base64"
)

const base32Upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = base32Upper[b[i]&31] // 32 divides 256, so no letter is likelier
	}
	return string(b)
}

// NewUniqueID makes a unique id of IAM: AIDA (user), AROA (role), AGPA (group),
// ANPA (policy), AIPA (instance profile), and seventeen characters.
func NewUniqueID(prefix string) string { return prefix + randomText(17) }

// NewSecret makes a secret access key of 40 characters, 240 random bits.
func NewSecret() string {
	b := make([]byte, 30)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}
