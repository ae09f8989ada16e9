package iam

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
)

// newKeyID makes the id of a long-term access key, in which AWS's tools and
// GetAccessKeyInfo find the account: the first 48 bits of the base 32 after AKIA
// are a one, the 40 bits of the account, and seven random bits.
// Source: the layout as measured on AWS's own keys; "Get the account ID from an
// access key", IAM User Guide, GetAccessKeyInfo.
func newKeyID(account string) (string, error) {
	number, err := strconv.ParseUint(account, 10, 40)
	if err != nil {
		return "", fmt.Errorf("account id %q: %w", account, err)
	}
	var b [10]byte
	rand.Read(b[:])
	head := 1<<47 | number<<7 | uint64(b[5]&0x7f)
	var word [8]byte
	binary.BigEndian.PutUint64(word[:], head)
	copy(b[:6], word[2:])
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:]), nil
}
