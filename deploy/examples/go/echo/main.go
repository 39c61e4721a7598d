// Echo answers messages that begin with "!echo ".    go run ./echo
package main

import (
	"encoding/json"
	"errors"
	"log"
	"strings"

	"natter.example/bots/bot"
)

func main() {
	b, err := bot.Connect()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(b.Events(func(event bot.Event) error {
		if event.T != "MESSAGE_CREATE" {
			return nil
		}
		var said struct {
			ID           string
			Author       string `json:"author_id"`
			Conversation string `json:"conversation_id"`
			Content      string
		}
		if err := json.Unmarshal(event.D, &said); err != nil {
			return err
		}
		answer, asked := strings.CutPrefix(said.Content, "!echo ")
		if !asked || said.Author == b.ID {
			return nil // a bot hears itself too, and would answer for ever
		}
		// The nonce names the answer: if the event comes again, it is the same message.
		err := b.Send(said.Conversation, answer, "echo-"+said.ID)
		var refused *bot.Refused
		if errors.As(err, &refused) {
			log.Print(refused) // such as after it was removed from the channel
			return nil
		}
		return err
	}))
}
