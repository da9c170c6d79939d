// A counter a session, kept in this process's memory under the id of a cookie.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"sync"
)

var (
	lock   sync.Mutex
	counts = map[string]int{}
)

func count(w http.ResponseWriter, r *http.Request) {
	lock.Lock()
	defer lock.Unlock()
	id := ""
	if cookie, err := r.Cookie("id"); err == nil {
		id = cookie.Value
	}
	if _, known := counts[id]; !known {
		fresh := make([]byte, 16)
		rand.Read(fresh)
		id = hex.EncodeToString(fresh)
		counts[id] = 0
		http.SetCookie(w, &http.Cookie{Name: "id", Value: id, Path: "/"})
	}
	counts[id]++
	fmt.Fprintf(w, "You have been here %d times\n", counts[id])
}

func main() {
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	http.HandleFunc("/", count)
	fmt.Println(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
	os.Exit(1)
}
