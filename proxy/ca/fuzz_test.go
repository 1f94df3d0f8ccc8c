package ca

import (
	"encoding/pem"
	"testing"
)

func FuzzParsePair(f *testing.F) {
	plain, err := generate()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain, "")
	f.Add(pem.EncodeToMemory(&pem.Block{Type: encryptedKey, Bytes: []byte{0x30, 0x03, 0x30, 0x01, 0x00}}), "x")
	f.Fuzz(func(t *testing.T, data []byte, passphrase string) {
		pair, err := parsePair(data, passphrase, nil)
		if err == nil && (pair.Leaf == nil || pair.PrivateKey == nil) {
			t.Errorf("pair = %+v", pair)
		}
	})
}
