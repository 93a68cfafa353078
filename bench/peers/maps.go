// SPDX-License-Identifier: MIT

// maps is what Go programs share among threads, as peers of the benchmarks: a map that is cloned
// by whoever sets a key, behind an atomic pointer (cloned-map), and sync.Map.
//
// bench/maps-go.c writes a line, WHAT KEYS COUNT ACCESSES THREADS NS ROUND, and reads one: whether
// it was done, CPU time and wall time of an operation, CPU time of a set beside, what was read, bytes. bench/maps.h and
// bench/maps.c say what all of this means, and do the same in C.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Kinds of keys.
const (
	row = iota
	anyNumbers
	texts
)

const setsAtOnce = 1000

type order struct {
	what            string
	keys            int
	count, accesses int
	threads         int
	ns, round       int
}

type result struct {
	cpu, wall, beside float64
	check, bytes      uint64
}

// ---- keys --------------------------------------------------------------------------------------

func randomNext(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func randomNumber(i uint64) uint64 {
	return randomNext(&i)
}

func numberOf(kind int, i uint64) uint64 {
	if kind == row {
		return i
	}
	return randomNumber(i)
}

func textOf(i uint64) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], randomNumber(i))
	binary.LittleEndian.PutUint64(b[8:], randomNumber(i+1<<40))
	return string(b[:])
}

func valueOf(key uint64, salt uint32) uint64 {
	return uint64(salt)<<32 | (key*0x9e3779b97f4a7c15)>>32
}

type data struct {
	kind     int
	numbers  []uint64 // what is asked for
	texts    []string
	toFill   []uint64
	fillText []string
}

func newData(o *order) *data {
	d := &data{kind: o.keys}
	state, count := uint64(7), uint64(o.count)
	if o.keys == texts {
		// One piece of memory, in the order in which they are asked for.
		var all strings.Builder
		all.Grow(16 * o.accesses)
		for i := 0; i < o.accesses; i++ {
			all.WriteString(textOf(randomNext(&state) % count))
		}
		for i := 0; i < o.accesses; i++ {
			d.texts = append(d.texts, all.String()[16*i:16*i+16])
		}
		for i := uint64(0); i < count; i++ {
			d.fillText = append(d.fillText, textOf(i))
		}
		return d
	}
	d.numbers = make([]uint64, o.accesses)
	for i := range d.numbers {
		d.numbers[i] = numberOf(o.keys, randomNext(&state)%count)
	}
	d.toFill = make([]uint64, o.count)
	for i := range d.toFill {
		d.toFill[i] = numberOf(o.keys, uint64(i))
	}
	return d
}

// ---- the maps ----------------------------------------------------------------------------------

// What a peer cannot do it answers with false; the others are done for all keys.
type peer interface {
	fill(d *data)
	get(keys []uint64) uint64
	hold() (held func(keys []uint64) uint64, ok bool)
	getTexts(keys []string) uint64
	set(key, value uint64)
	setMany(keys []uint64, salt uint32) bool
	snapshots(count int) (uint64, bool)
	fillStrings(keys []uint64)
}

// Readers load the pointer; a writer copies the map, changes the copy, and stores its pointer.
type clonedMap struct {
	mu      sync.Mutex
	numbers atomic.Pointer[map[uint64]uint64]
	texts   atomic.Pointer[map[string]uint64]
	strings atomic.Pointer[map[uint64]string]
}

func (c *clonedMap) fill(d *data) {
	if d.kind == texts {
		m := make(map[string]uint64, len(d.fillText))
		for _, k := range d.fillText {
			m[k] = valueOf(binary.LittleEndian.Uint64([]byte(k)), 0)
		}
		c.texts.Store(&m)
		return
	}
	m := make(map[uint64]uint64, len(d.toFill))
	for _, k := range d.toFill {
		m[k] = valueOf(k, 0)
	}
	c.numbers.Store(&m)
}

func (c *clonedMap) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		sum += uint64(uint32((*c.numbers.Load())[k]))
	}
	return sum
}

func (c *clonedMap) hold() (func(keys []uint64) uint64, bool) {
	m := *c.numbers.Load()
	return func(keys []uint64) (sum uint64) {
		for _, k := range keys {
			sum += uint64(uint32(m[k]))
		}
		return sum
	}, true
}

func (c *clonedMap) getTexts(keys []string) (sum uint64) {
	for _, k := range keys {
		sum += uint64(uint32((*c.texts.Load())[k]))
	}
	return sum
}

func (c *clonedMap) clone() map[uint64]uint64 {
	old := *c.numbers.Load()
	m := make(map[uint64]uint64, len(old))
	for k, v := range old {
		m[k] = v
	}
	return m
}

func (c *clonedMap) set(key, value uint64) {
	c.mu.Lock()
	m := c.clone()
	m[key] = value
	c.numbers.Store(&m)
	c.mu.Unlock()
}

func (c *clonedMap) setMany(keys []uint64, salt uint32) bool {
	c.mu.Lock()
	m := c.clone()
	for _, k := range keys {
		m[k] = valueOf(k, salt)
	}
	c.numbers.Store(&m)
	c.mu.Unlock()
	return true
}

func (c *clonedMap) snapshots(count int) (sum uint64, ok bool) {
	for i := 0; i < count; i++ {
		sum += uint64(len(*c.numbers.Load()))
	}
	return sum, true
}

func (c *clonedMap) fillStrings(keys []uint64) {
	m := make(map[uint64]string, len(keys))
	for _, k := range keys {
		m[k] = fmt.Sprintf("value %d", k)
	}
	c.strings.Store(&m)
}

// A uint64 becomes an interface where it is handed over, as in any program.
type syncMap struct {
	m sync.Map
}

func (s *syncMap) fill(d *data) {
	for _, k := range d.fillText {
		s.m.Store(k, valueOf(binary.LittleEndian.Uint64([]byte(k)), 0))
	}
	for _, k := range d.toFill {
		s.m.Store(k, valueOf(k, 0))
	}
}

func (s *syncMap) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		v, _ := s.m.Load(k)
		sum += uint64(uint32(v.(uint64)))
	}
	return sum
}

func (s *syncMap) hold() (func(keys []uint64) uint64, bool) {
	return nil, false
}

func (s *syncMap) getTexts(keys []string) (sum uint64) {
	for _, k := range keys {
		v, _ := s.m.Load(k)
		sum += uint64(uint32(v.(uint64)))
	}
	return sum
}

func (s *syncMap) set(key, value uint64) {
	s.m.Store(key, value)
}

func (s *syncMap) setMany(keys []uint64, salt uint32) bool {
	return false
}

func (s *syncMap) snapshots(count int) (uint64, bool) {
	return 0, false
}

func (s *syncMap) fillStrings(keys []uint64) {
	for _, k := range keys {
		s.m.Store(k, fmt.Sprintf("value %d", k))
	}
}

// ---- measuring ---------------------------------------------------------------------------------

const (
	processCPU = 2 // CLOCK_PROCESS_CPUTIME_ID
	threadCPU  = 3 // CLOCK_THREAD_CPUTIME_ID
)

func clock(id uintptr) float64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Nano())
}

// What this process has in memory, of no file but of shared memory; garbage is given back first.
func residentBytes() (bytes uint64) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kib uint64
		if strings.HasPrefix(line, "RssAnon:") || strings.HasPrefix(line, "RssShmem:") {
			fmt.Sscanf(line[strings.IndexByte(line, ':')+1:], "%d", &kib)
			bytes += kib << 10
		}
	}
	return bytes
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "bench: maps.go:", why)
	os.Exit(1)
}

type shared struct {
	peer peer
	data *data
}

func (m *shared) get(o *order, held func(keys []uint64) uint64) uint64 {
	switch {
	case o.what == "get-texts":
		return m.peer.getTexts(m.data.texts)
	case held != nil:
		return held(m.data.numbers)
	}
	return m.peer.get(m.data.numbers)
}

// One reader, on a thread of its own: once to warm the caches, then timed.
func (m *shared) read(o *order, out *result, ready, done *sync.WaitGroup, start chan struct{}) {
	runtime.LockOSThread()
	defer done.Done()
	var held func(keys []uint64) uint64
	if o.what == "held" || o.what == "held-beside" {
		held, _ = m.peer.hold()
	}
	check := m.get(o, held)
	ready.Done()
	<-start
	until := time.Now().Add(time.Duration(o.ns / 3))
	if strings.HasSuffix(o.what, "-beside") || o.threads > 1 {
		until = time.Now().Add(time.Duration(o.ns))
	}
	begin, times := clock(threadCPU), 0
	for {
		if m.get(o, held) != check {
			fail("a reader read two things")
		}
		times++
		if !time.Now().Before(until) {
			break
		}
	}
	out.cpu = (clock(threadCPU) - begin) / float64(times*o.accesses)
	out.check = check
}

func (m *shared) gets(o *order) (r result) {
	var ready, done sync.WaitGroup
	var stop atomic.Bool
	sets := 0
	start, ended := make(chan struct{}), make(chan struct{})
	results := make([]result, o.threads)
	ready.Add(o.threads)
	done.Add(o.threads)
	runtime.GC()
	for i := range results {
		go m.read(o, &results[i], &ready, &done, start)
	}
	ready.Wait()
	since := time.Now()
	close(start)
	if strings.HasSuffix(o.what, "-beside") {
		go func() {
			runtime.LockOSThread()
			begin := clock(threadCPU)
			for ; !stop.Load(); sets++ {
				k := m.data.numbers[sets%len(m.data.numbers)]
				m.peer.set(k, valueOf(k, uint32(sets)+1))
			}
			r.beside = clock(threadCPU) - begin
			close(ended)
		}()
	} else {
		close(ended)
	}
	done.Wait()
	stop.Store(true)
	<-ended
	if sets > 0 {
		r.beside /= float64(sets)
		r.wall = float64(time.Since(since).Nanoseconds()) / float64(sets)
	}
	for _, one := range results {
		r.cpu += one.cpu / float64(o.threads)
		r.check = one.check
	}
	return r
}

func (m *shared) setSome(o *order, count int) bool {
	part := 1
	if o.what == "set-many" {
		part = setsAtOnce
	}
	for at := 0; at < count; at += part {
		n := part
		if n > count-at {
			n = count - at
		}
		from := (o.round*count + at) % (len(m.data.numbers) - n + 1)
		keys := m.data.numbers[from : from+n]
		if o.what != "set-many" {
			m.peer.set(keys[0], valueOf(keys[0], uint32(o.round)+1))
		} else if !m.peer.setMany(keys, uint32(o.round)+1) {
			return false
		}
	}
	return true
}

func (m *shared) sets(o *order) (r result, ok bool) {
	n, all := 1, 0
	if o.what == "set-many" {
		n = setsAtOnce
	}
	if n > len(m.data.numbers) {
		n = len(m.data.numbers)
	}
	runtime.GC()
	cpu, since := clock(processCPU), time.Now()
	for {
		if !m.setSome(o, n) {
			return r, false
		}
		all += n
		if wall := time.Since(since); wall >= time.Duration(o.ns) {
			r.wall = float64(wall.Nanoseconds()) / float64(all)
			break
		}
		if n *= 2; n > len(m.data.numbers) {
			n = len(m.data.numbers)
		}
	}
	r.cpu = (clock(processCPU) - cpu) / float64(all)
	return r, true
}

var snapshotsSum uint64

func (m *shared) snapshots(o *order) (r result, ok bool) {
	cpu, since := clock(processCPU), time.Now()
	sum, ok := m.peer.snapshots(o.accesses)
	r.wall = float64(time.Since(since).Nanoseconds()) / float64(o.accesses)
	r.cpu = (clock(processCPU) - cpu) / float64(o.accesses)
	snapshotsSum += sum
	return r, ok
}

func memory(o *order, p peer) (r result) {
	d := newData(o)
	before := residentBytes()
	p.fillStrings(d.toFill)
	after := residentBytes()
	runtime.KeepAlive(p)
	runtime.KeepAlive(d)
	if after > before {
		r.bytes = after - before
	}
	return r
}

// ---- orders ------------------------------------------------------------------------------------

func newPeer(name string) peer {
	if name == "cloned-map" {
		return &clonedMap{}
	}
	return &syncMap{}
}

func perform(m *shared, name string, o *order) (r result, ok bool) {
	switch o.what {
	case "open":
		m.peer, m.data = newPeer(name), newData(o)
		m.peer.fill(m.data)
		return r, true
	case "close":
		m.peer, m.data = nil, nil
		return r, true
	case "memory":
		return memory(o, newPeer(name)), true
	case "held", "held-beside":
		if _, ok := m.peer.hold(); !ok {
			return r, false
		}
		return m.gets(o), true
	case "get", "get-beside", "get-texts":
		return m.gets(o), true
	case "set", "set-many":
		return m.sets(o)
	case "snapshot":
		return m.snapshots(o)
	}
	return r, false
}

func main() {
	var m shared
	if len(os.Args) != 2 {
		fail("usage: maps cloned-map|sync.Map, which bench-stores runs")
	}
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var o order
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if n, err := fmt.Sscan(line, &o.what, &o.keys, &o.count, &o.accesses, &o.threads, &o.ns,
			&o.round); n != 7 {
			fail(err)
		}
		r, ok := perform(&m, os.Args[1], &o)
		done := 0
		if ok {
			done = 1
		}
		fmt.Fprintf(out, "%d %f %f %f %d %d\n", done, r.cpu, r.wall, r.beside, r.check, r.bytes)
		out.Flush()
	}
}
