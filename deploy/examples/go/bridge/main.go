// Bridge publishes the lines of a file, each once and in order.    go run ./bridge FILE CHANNEL_ID
//
// Started again, it goes on where it was: FILE.done has the number of the last line that was
// answered. The one after it may have been written without the answer being seen; its nonce, which
// is its number, makes it the same message.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"strconv"
	"strings"

	"natter.example/bots/bot"
)

func main() {
	if err := publish(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func publish(path, channel string) error {
	position, err := read(path + ".done")
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := bot.Connect()
	if err != nil {
		return err
	}
	defer b.Close()
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		if number <= position || strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		// One by one: the next only after the answer, or they could change places.
		if err := b.Send(channel, lines.Text(), fmt.Sprintf("line-%d", number)); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := write(path+".done", number); err != nil {
			return err
		}
	}
	return lines.Err()
}

func read(path string) (int, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(content))
}

// write replaces the file in one step, so that it is never half written.
func write(path string, position int) error {
	if err := os.WriteFile(path+".new", []byte(strconv.Itoa(position)), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
