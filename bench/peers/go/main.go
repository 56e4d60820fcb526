// The job in Go: net/http and crypto/rsa of the standard library, no third-party module. Keys are in memory, every
// token is verified.
//
//	gate PORT KEYS.json ISSUER
package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log"
	"math/big"
	"net/http"
	"os"
	"strings"
	"time"
)

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

type claims struct {
	Audience  []string `json:"aud"`
	Email     string   `json:"email"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	Issued    float64  `json:"iat"`
	Issuer    string   `json:"iss"`
}

var (
	keys   = map[string]*rsa.PublicKey{}
	issuer string
)

func part(text string, into any) bool {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(bytes, into) == nil
}

func verified(token, audience string) (string, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	var h header
	if !part(parts[0], &h) || h.Algorithm != "RS256" {
		return "", false
	}
	key := keys[h.KeyID]
	if key == nil {
		return "", false
	}
	var c claims
	if !part(parts[1], &c) || c.Issuer != issuer || c.Email == "" {
		return "", false
	}
	now := float64(time.Now().Unix())
	if now >= c.Expires+30 || c.NotBefore > now+30 || c.Issued > now+30 {
		return "", false
	}
	meant := false
	for _, one := range c.Audience {
		meant = meant || one == audience
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if !meant || err != nil {
		return "", false
	}
	digest := sha256.Sum256([]byte(token[:len(parts[0])+1+len(parts[1])]))
	return c.Email, rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}

func answer(w http.ResponseWriter, r *http.Request) {
	email, good := verified(r.Header.Get("Cf-Access-Jwt-Assertion"), strings.TrimPrefix(r.URL.Path, "/auth/"))
	if !good {
		http.Error(w, "Token is invalid.", http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-Auth-User", email)
}

func main() {
	bytes, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var set struct {
		Keys []struct{ Kid, N string }
	}
	if err := json.Unmarshal(bytes, &set); err != nil {
		log.Fatal(err)
	}
	for _, key := range set.Keys {
		n, err := base64.RawURLEncoding.DecodeString(key.N)
		if err != nil {
			log.Fatal(err)
		}
		keys[key.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	}
	issuer = os.Args[3]
	http.HandleFunc("/auth/", answer)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
