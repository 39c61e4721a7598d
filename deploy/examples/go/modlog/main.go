// Modlog writes all that happens into a file, each entry once, whatever dies.    go run ./modlog FILE
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"natter.example/bots/bot"
)

// Entry is what all entries have.
type Entry struct {
	ID           uint64 `json:",string"`
	Conversation string `json:"conversation_id"`
}

// Log has one event to a line. The last line of a conversation is also how far it has been logged:
// what was done and how far that is are one write, and nothing can come between them.
type Log struct {
	file *os.File
	last map[string]uint64
}

// Open opens a log and reads how far it is.
func Open(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	l := &Log{file, map[string]uint64{}}
	// A torn last line was not acknowledged, and will come again.
	whole := bytes.LastIndexByte(content, '\n') + 1
	for line := range bytes.Lines(content[:whole]) {
		var event struct{ D Entry }
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		l.last[event.D.Conversation] = event.D.ID
	}
	return l, file.Truncate(int64(whole))
}

// Add writes an event, unless it is there.
func (l *Log) Add(event bot.Event) error {
	var entry Entry
	if err := json.Unmarshal(event.D, &entry); err != nil {
		return err
	}
	if entry.ID <= l.last[entry.Conversation] {
		return nil // logged already, and only the acknowledgement was lost
	}
	line, err := json.Marshal(event)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.last[entry.Conversation] = entry.ID
	return nil
}

// fill adds what was left out because too much waited, from after From to before To.
func fill(b *bot.Bot, l *Log, data json.RawMessage) error {
	var gap struct {
		Conversation string `json:"conversation_id"`
		From         string
		To           uint64 `json:",string"`
	}
	if err := json.Unmarshal(data, &gap); err != nil {
		return err
	}
	for after, more := gap.From, true; more; {
		var page struct {
			Entries []bot.Event
			Next    string
			More    bool `json:"has_more"`
		}
		request := map[string]any{"conversation_id": gap.Conversation, "after": after, "limit": 100}
		if err := b.Ask("api.entries.list", request, &page); err != nil {
			return err
		}
		for _, event := range page.Entries {
			var entry Entry
			if err := json.Unmarshal(event.D, &entry); err != nil {
				return err
			}
			if entry.ID >= gap.To {
				return nil
			}
			if err := l.Add(event); err != nil {
				return err
			}
		}
		after, more = page.Next, page.More
	}
	return nil
}

func main() {
	l, err := Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	b, err := bot.Connect()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(b.Events(func(event bot.Event) error {
		if event.T != "GAP" {
			return l.Add(event)
		}
		err := fill(b, l, event.D)
		var refused *bot.Refused
		if errors.As(err, &refused) {
			log.Print(refused) // it is in the channel no more, and may not read it
			return nil
		}
		return err
	}))
}
