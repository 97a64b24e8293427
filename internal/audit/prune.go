// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Prune removes, oldest first, the segments that were followed by another at or before the given
// time of Options.Clock, so that all their records are older. The current segment stays. It
// returns how many it has removed. Each removal is recorded durably before it happens, since
// otherwise it would look as if somebody had taken the segment away.
func (l *Log) Prune(before time.Time) (int, error) {
	l.pruneMu.Lock()
	defer l.pruneMu.Unlock()
	files, err := segments(l.dir)
	if err != nil {
		return 0, fmt.Errorf("prune audit log: %w", err)
	}
	removed := 0
	for i := 0; i+1 < len(files) && !files[i+1].created.After(before); i++ {
		if err = l.remove(files[i].name); err != nil {
			break
		}
		removed++
	}
	if removed > 0 {
		err = errors.Join(err, l.disk.sync(l.dir))
	}
	if err != nil {
		return removed, fmt.Errorf("prune audit log: %w", err)
	}
	return removed, nil
}

func (l *Log) remove(name string) error {
	path := filepath.Join(l.dir, name)
	end, err := lastLine(path)
	if err != nil {
		return err
	}
	b, err := content(pruned{Segment: name, Hash: hexHash(end.Hash)})
	if err != nil {
		return err
	}
	if _, err := l.append(kindPruned, b, true); err != nil {
		return err
	}
	return l.disk.remove(path)
}
