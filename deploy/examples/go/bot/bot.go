// Package bot is what every bot needs: connecting, asking, taking events.
//
// From the environment: NATS_URL, NATS_CREDS (the path of the credentials file) and BOT_ID.
package bot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// Bot is a connection, and whose it is.
type Bot struct {
	ID   string
	conn *nats.Conn
}

// Event is what happened; what D holds depends on T.
type Event struct {
	T string          `json:"t"`
	D json.RawMessage `json:"d"`
}

// Refused is an answer that asking again does not change.
type Refused struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	RetryAfter int    `json:"retry_after_ms"`
}

func (r *Refused) Error() string { return r.Code + ": " + r.Message }

// again: asking once more may help; any other refusal stays one.
func (r *Refused) again() bool {
	switch r.Code {
	case "unavailable", "timeout", "unknown_outcome", "rate_limited":
		return true
	}
	return false
}

// Connect connects, and from then on reconnects for ever.
func Connect() (*Bot, error) {
	id := os.Getenv("BOT_ID")
	conn, err := nats.Connect(os.Getenv("NATS_URL"),
		nats.UserCredentials(os.Getenv("NATS_CREDS")),
		nats.CustomInboxPrefix("_INBOX_"+id), // the only place where a bot may hear anything
		nats.MaxReconnects(-1))
	if err != nil {
		return nil, err
	}
	return &Bot{ID: id, conn: conn}, nil
}

// Close ends the connection.
func (b *Bot) Close() { b.conn.Close() }

// Ask asks until there is an answer. Safe for everything but a message without a nonce, which each
// try would write once more.
func (b *Bot) Ask(what string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	for {
		var refused *Refused
		err := b.askOnce(what, body, answer)
		if !errors.As(err, &refused) || !refused.again() {
			return err
		}
		pause := 500 * time.Millisecond
		if refused.RetryAfter > 0 {
			pause = time.Duration(refused.RetryAfter) * time.Millisecond
		}
		time.Sleep(pause)
	}
}

func (b *Bot) askOnce(what string, body []byte, answer any) error {
	reply, err := b.conn.Request(fmt.Sprintf("bot.%s.%s", b.ID, what), body, 10*time.Second)
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) {
		return &Refused{Code: "timeout", Message: err.Error()}
	} else if err != nil {
		return err
	}
	var failed struct{ Error *Refused }
	if err := json.Unmarshal(reply.Data, &failed); err != nil {
		return err
	}
	if failed.Error != nil {
		return failed.Error
	}
	return json.Unmarshal(reply.Data, answer)
}

// Send writes a message, once, however often it is asked for with this nonce in 5 minutes.
func (b *Bot) Send(conversation, content, nonce string) error {
	var sent struct{ ID string }
	return b.Ask("send."+conversation, map[string]string{"content": content, "nonce": nonce}, &sent)
}

// Events gives every event to handle, and acknowledges it when that returns nil. It ends with the
// first error; an event that was not acknowledged comes again.
func (b *Bot) Events(handle func(Event) error) error {
	js, err := b.conn.JetStream()
	if err != nil {
		return err
	}
	// A bot may not look its consumer up, which package jetstream would always do.
	consumer := "bot_" + b.ID
	events, err := js.PullSubscribe("", consumer, nats.Bind("BOTS", consumer), nats.SkipConsumerLookup())
	if err != nil {
		return err
	}
	for {
		messages, err := events.Fetch(1, nats.MaxWait(5*time.Second))
		if b.conn.IsClosed() {
			return err
		} else if err != nil && !errors.Is(err, nats.ErrTimeout) {
			time.Sleep(500 * time.Millisecond) // the server is away, or elects a leader
		}
		if err != nil {
			continue // nothing happened, or the connection is being made anew
		}
		message := messages[0]
		var event Event
		if err := json.Unmarshal(message.Data, &event); err != nil {
			return err
		}
		if err := handle(event); err != nil {
			return err
		}
		if err := message.Ack(); err != nil {
			return err
		}
	}
}
