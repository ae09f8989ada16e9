package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// result is one round of load.
type result struct {
	perSecond float64
	p50, p99  time.Duration
}

// load sends one request over and over on several connections, each waiting for
// its answer, and fails on any answer but the wanted status. The client is as bare
// as can be, because it shares the processors with what it measures.
func load(addr, request string, status, connections int, length time.Duration) (result, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	began := time.Now()
	end := began.Add(length)
	for range connections {
		wg.Go(func() {
			took, err := loop(addr, request, status, end)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		return result{}, failed
	}
	seconds := time.Since(began).Seconds()
	slices.Sort(all)
	return result{
		perSecond: float64(len(all)) / seconds, p50: all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

func loop(addr, request string, status int, end time.Time) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16<<10)
	var took []time.Duration
	for {
		began := time.Now()
		if began.After(end) {
			return took, nil
		}
		if _, err := io.WriteString(conn, request); err != nil {
			return nil, err
		}
		if err := readAnswer(reader, status); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
}

// readAnswer reads one answer with a Content-Length.
func readAnswer(r *bufio.Reader, status int) error {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case first:
			if len(text) < 12 || text[9:12] != strconv.Itoa(status) {
				body, _ := r.Peek(min(r.Buffered(), 600))
				return fmt.Errorf("answered %q, want %d: %s", text, status, body)
			}
		case text == "":
			if length < 0 {
				return errors.New("an answer without Content-Length")
			}
			_, err := r.Discard(length)
			return err
		case len(text) > 15 && strings.EqualFold(text[:15], "content-length:"):
			if length, err = strconv.Atoi(strings.TrimSpace(text[15:])); err != nil {
				return err
			}
		}
	}
}
