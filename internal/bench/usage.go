// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// usage is what a process has used.
type usage struct {
	pid int // 0: nothing is known
	cpu time.Duration
	rss int64 // bytes, now

	answers uint64 // that it has given us
}

// tick is the unit of times in /proc: USER_HZ, which is 100 wherever Linux runs.
const tick = time.Second / 100

// readUsage reads /proc/PID/stat, as proc(5) describes it. Where there is none, nothing is known.
func readUsage(pid int) usage {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return usage{}
	}
	u, ok := parseStat(b)
	if !ok {
		return usage{}
	}
	u.pid = pid
	return u
}

// parseStat takes fields 14 and 15 (user and system time) and 24 (pages that are resident). The
// second field, the command's name, may hold anything, so that fields count from its closing bracket.
func parseStat(b []byte) (u usage, ok bool) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return u, false
	}
	fields := bytes.Fields(b[end+1:])
	if len(fields) < 22 {
		return u, false
	}
	var n [3]int64
	for i, field := range [3]int{11, 12, 21} {
		var err error
		if n[i], err = strconv.ParseInt(string(fields[field]), 10, 64); err != nil {
			return u, false
		}
	}
	return usage{cpu: time.Duration(n[0]+n[1]) * tick, rss: n[2] * int64(os.Getpagesize())}, true
}
