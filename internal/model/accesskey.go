package model

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
)

// The kinds of access key, by the first letters of their ids.
// Source: IAM User Guide, "IAM identifiers", unique identifiers.
const (
	LongTermKey  = "AKIA"
	TemporaryKey = "ASIA"
)

// The first 48 bits of the base 32 that follows the four letters are a one, the
// 40 bits of the account, and seven random bits. Ids of AWS's first years begin
// with a zero and hold no account.
// Source: measured on AWS's own keys; sts get-access-key-info reads it so.
const (
	keyMark     = 1 << 47
	accountBits = 40
	randomBits  = 7
)

// NewAccessKeyID makes the id of an access key of an account, in which AWS's tools
// find the account. 39 random bits are left: who stores keys must make sure that
// an id is free.
func NewAccessKeyID(kind, account string) (string, error) {
	number, err := strconv.ParseUint(account, 10, accountBits)
	if err != nil {
		return "", fmt.Errorf("account id %q: %w", account, err)
	}
	var b [10]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	var word [8]byte
	binary.BigEndian.PutUint64(word[:], keyMark|number<<randomBits|uint64(b[5])&(1<<randomBits-1))
	copy(b[:6], word[2:])
	return kind + base32.StdEncoding.EncodeToString(b[:]), nil
}

// AccessKeyAccount is the account that an access key's id holds; ok is false for
// an id that holds none.
func AccessKeyAccount(id string) (account string, ok bool) {
	if len(id) != 20 {
		return "", false
	}
	raw, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return "", false
	}
	var word [8]byte
	copy(word[2:], raw[:6])
	head := binary.BigEndian.Uint64(word[:])
	number := head &^ keyMark >> randomBits
	if head&keyMark == 0 || number > 999999999999 {
		return "", false
	}
	return fmt.Sprintf("%012d", number), true
}
