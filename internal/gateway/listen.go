package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/clock"
)

// PortMap says which socket serves which listener port: listener port to socket
// port. A listener port that is not in it is opened as it is.
type PortMap map[int64]uint16

// socketPort is the port of the socket that serves a listener port.
func (m PortMap) socketPort(listener int64) uint16 {
	if p, ok := m[listener]; ok {
		return p
	}
	return uint16(listener)
}

// sockets opens the gateway's ports and keeps them open. One socket serves both
// cleartext and TLS: the first byte of a connection tells them apart, so that a
// port can be an HTTP listener of one service and an HTTPS listener of another.
type sockets struct {
	addrs   []netip.Addr
	ports   PortMap
	serve   func(port int64) http.Handler
	tls     *tls.Config
	idle    time.Duration
	log     *log.Logger // of the servers
	problem func(port int64, err error)

	mu     sync.Mutex
	open   map[int64][]*socket
	failed map[int64]error
	closed bool
	wg     sync.WaitGroup
}

// ensure opens what is not open of the listener ports. A port that cannot be
// opened is remembered and tried again the next time. After the shutdown none is
// opened any more.
func (s *sockets) ensure(ports []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, port := range ports {
		if _, ok := s.open[port]; ok {
			continue
		}
		err := s.openPort(port)
		if err != nil {
			if before := s.failed[port]; before == nil || before.Error() != err.Error() {
				s.problem(port, err)
			}
			s.failed[port] = err
			continue
		}
		delete(s.failed, port)
	}
}

func (s *sockets) openPort(port int64) error {
	// Two listener ports on one socket could not be told apart.
	socketPort := s.ports.socketPort(port)
	for other := range s.open {
		if s.ports.socketPort(other) == socketPort {
			return fmt.Errorf("port %d is taken by listener port %d: map listener port %d to another socket (--gateway-ports)",
				socketPort, other, port)
		}
	}
	var opened []*socket
	for _, addr := range s.addrs {
		l, err := net.Listen("tcp", netip.AddrPortFrom(addr, socketPort).String())
		if err != nil {
			for _, o := range opened {
				o.close()
			}
			return fmt.Errorf("%w: map listener port %d to another socket with --gateway-ports SOCKET=%d", err, port, port)
		}
		opened = append(opened, newSocket(l, s.serve(port), s.tls, s.idle, s.log))
	}
	s.open[port] = opened
	for _, o := range opened {
		s.wg.Go(o.run)
	}
	return nil
}

// problems lists the listener ports that are not open, and why.
func (s *sockets) problems() map[int64]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.failed)
}

// addresses lists the open sockets by listener port.
func (s *sockets) addresses() map[int64][]net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int64][]net.Addr{}
	for port, open := range s.open {
		for _, o := range open {
			out[port] = append(out[port], o.listener.Addr())
		}
	}
	return out
}

// shutdown ends all sockets, giving requests in flight until ctx ends.
func (s *sockets) shutdown(ctx context.Context) {
	s.mu.Lock()
	var all []*socket
	for _, port := range slices.Sorted(maps.Keys(s.open)) {
		all = append(all, s.open[port]...)
	}
	s.open, s.closed = map[int64][]*socket{}, true
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, o := range all {
		wg.Go(func() { o.shutdown(ctx) })
	}
	wg.Wait()
	s.wg.Wait()
}

// Limits of connections.
// Source: VPC Lattice User Guide, quotas: idle connections end after a minute,
// and every connection takes no new requests after ten.
const (
	idleTimeout        = 60 * time.Second
	connectionLifetime = 10 * time.Minute
	headerTimeout      = 30 * time.Second
	// maxHeaderBytes is above AWS's 60 KB, which the handler refuses with its own
	// answer.
	maxHeaderBytes = 256 << 10
)

// socket is one listening socket with a server for cleartext and one for TLS.
type socket struct {
	listener  net.Listener
	plain     *http.Server
	secure    *http.Server
	plainIn   *handoff
	secureIn  *handoff
	tlsConfig *tls.Config
	idle      time.Duration
}

// serverLog is what net/http's servers write to: a panic is a fault of the gateway's,
// and all else is about clients.
func serverLog(to *slog.Logger) *log.Logger { return log.New(serverLines{to}, "", 0) }

type serverLines struct{ to *slog.Logger }

func (l serverLines) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(line, []byte(": panic serving ")) {
		level = slog.LevelError
	}
	l.to.Log(context.Background(), level, string(bytes.TrimSpace(line)))
	return len(line), nil
}

func newSocket(l net.Listener, handler http.Handler, tlsConfig *tls.Config, idle time.Duration, errorLog *log.Logger) *socket {
	server := func() *http.Server {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(true)
		return &http.Server{
			Handler:           handler,
			Protocols:         protocols,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idle,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          errorLog,
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, connStartKey{}, clock.System())
			},
		}
	}
	return &socket{
		listener: l, plain: server(), secure: server(), tlsConfig: tlsConfig, idle: idle,
		plainIn: newHandoff(l.Addr()), secureIn: newHandoff(l.Addr()),
	}
}

// connStartKey is the context key of when a connection began.
type connStartKey struct{}

func (s *socket) run() {
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.plain.Serve(s.plainIn) })
	s.secure.TLSConfig = s.tlsConfig
	wg.Go(func() { _ = s.secure.ServeTLS(s.secureIn, "", "") })
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				break
			}
			// For example too many open files: wait for some to close.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go s.sort(conn)
	}
	wg.Wait()
}

// recordTypeHandshake is the first byte of every TLS connection (RFC 8446, 5.1);
// no HTTP request begins with it.
const recordTypeHandshake = 0x16

// sort hands a connection to the server for its first byte.
func (s *socket) sort(conn net.Conn) {
	_ = conn.SetReadDeadline(clock.System().Add(headerTimeout))
	peeked := &peekedConn{Conn: conn, reader: bufio.NewReaderSize(conn, 16), idle: s.idle}
	first, err := peeked.reader.Peek(1)
	if err != nil {
		conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	to := s.plainIn
	if first[0] == recordTypeHandshake {
		to = s.secureIn
	}
	to.give(peeked)
}

func (s *socket) close() {
	s.listener.Close()
	s.plainIn.Close()
	s.secureIn.Close()
}

func (s *socket) shutdown(ctx context.Context) {
	s.listener.Close()
	var wg sync.WaitGroup
	for _, server := range []*http.Server{s.plain, s.secure} {
		wg.Go(func() {
			if server.Shutdown(ctx) != nil {
				server.Close()
			}
		})
	}
	wg.Wait()
	s.close()
}

// peekedConn is a connection whose first bytes were looked at. Once they are read
// it is the connection itself, but that a write ends when the client has taken
// nothing for as long as the connection may be idle.
type peekedConn struct {
	net.Conn
	reader *bufio.Reader
	idle   time.Duration
}

func (c *peekedConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(clock.System().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *peekedConn) Read(p []byte) (int, error) {
	if c.reader == nil {
		return c.Conn.Read(p)
	}
	n, err := c.reader.Read(p)
	if c.reader.Buffered() == 0 {
		c.reader = nil
	}
	return n, err
}

// WriteTo lets io.Copy see the connection below.
func (c *peekedConn) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

// handoff is a net.Listener that is given its connections.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff(addr net.Addr) *handoff {
	return &handoff{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handoff) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handoff) Addr() net.Addr { return h.addr }

// ParsePortMap reads "8080=80,8443=443": socket port = listener port.
func ParsePortMap(text string) (PortMap, error) {
	m := PortMap{}
	used := map[uint16]int64{}
	for _, pair := range splitList(text) {
		socket, listener, ok := cutPair(pair)
		if !ok {
			return nil, fmt.Errorf("%q is not SOCKET=LISTENER, for example 8080=80", pair)
		}
		if _, twice := m[listener]; twice {
			return nil, fmt.Errorf("listener port %d is mapped twice", listener)
		}
		if other, taken := used[socket]; taken {
			return nil, fmt.Errorf("socket port %d is given to listener ports %d and %d", socket, other, listener)
		}
		m[listener], used[socket] = socket, listener
	}
	return m, nil
}

func cutPair(pair string) (socket uint16, listener int64, ok bool) {
	for i := range len(pair) {
		if pair[i] != '=' {
			continue
		}
		s, err := strconv.ParseUint(pair[:i], 10, 16)
		l, err2 := strconv.ParseUint(pair[i+1:], 10, 16)
		return uint16(s), int64(l), err == nil && err2 == nil && s > 0 && l > 0
	}
	return 0, 0, false
}
