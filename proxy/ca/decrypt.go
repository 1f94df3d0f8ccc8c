package ca

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default of PBKDF2 in RFC 8018
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"hash"
)

var (
	errNeedsPassphrase = errors.New("the private key is protected by a passphrase")
	errUnknownCipher   = errors.New("the private key is encrypted in an unknown way")
	errWrongPassphrase = errors.New("the passphrase does not open the private key")
)

func isKey(b *pem.Block) bool {
	switch b.Type {
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", encryptedKey:
		return true
	}
	return false
}

const encryptedKey = "ENCRYPTED PRIVATE KEY"

// decryptKey is parseKey for a key that passphrase may have to open.
func decryptKey(b *pem.Block, passphrase string) (crypto.Signer, error) {
	old := b.Headers["DEK-Info"] != ""
	if b.Type != encryptedKey && !old {
		return parseKey(b)
	}
	if passphrase == "" {
		return nil, errNeedsPassphrase
	}
	var der []byte
	var err error
	kind := b.Type
	if old {
		der, err = x509.DecryptPEMBlock(b, []byte(passphrase)) //nolint:staticcheck // such files exist
		if errors.Is(err, x509.IncorrectPasswordError) {
			err = errWrongPassphrase
		}
	} else {
		der, err = decryptPKCS8(b.Bytes, passphrase)
		kind = "PRIVATE KEY"
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(&pem.Block{Type: kind, Bytes: der})
	if err != nil {
		return nil, errWrongPassphrase
	}
	return key, nil
}

// The structures of RFC 5958, section 3, and RFC 8018, appendix A.
type (
	encryptedInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params struct {
		KDF, Encryption pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

// maxIterations bounds the work for a file; OpenSSL uses 2048.
const maxIterations = 2_000_000

// decryptPKCS8 opens a key that is encrypted with PBES2, PBKDF2 and AES in CBC
// mode, as OpenSSL writes them.
func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	var info encryptedInfo
	var pbes2 pbes2Params
	var kdf pbkdf2Params
	var iv []byte
	if !unmarshal(der, &info) || !unmarshal(info.Algorithm.Parameters.FullBytes, &pbes2) ||
		!unmarshal(pbes2.KDF.Parameters.FullBytes, &kdf) || !unmarshal(pbes2.Encryption.Parameters.FullBytes, &iv) {
		return nil, errUnknownCipher
	}
	size, digest := keySizes[pbes2.Encryption.Algorithm.String()], digests[kdf.PRF.Algorithm.String()]
	if size == 0 || digest == nil || kdf.Iterations <= 0 || kdf.Iterations > maxIterations {
		return nil, errUnknownCipher
	}
	key, err := pbkdf2.Key(digest, passphrase, kdf.Salt, kdf.Iterations, size)
	if err != nil {
		return nil, err
	}
	return unpad(key, iv, info.Data)
}

func unmarshal(der []byte, to any) bool {
	_, err := asn1.Unmarshal(der, to)
	return err == nil
}

// keySizes are those of AES in CBC mode, by its object identifiers.
var keySizes = map[string]int{
	"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32,
}

// digests are what HMAC may be used with, by the object identifiers of that.
var digests = map[string]func() hash.Hash{
	"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.11": sha512.New,
}

// unpad decrypts data and takes the padding off.
func unpad(key, iv, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	n := len(data)
	if n == 0 || n%aes.BlockSize != 0 || len(iv) != aes.BlockSize {
		return nil, errors.New("damaged private key")
	}
	out := make([]byte, n)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	pad := int(out[n-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errWrongPassphrase
	}
	return out[:n-pad], nil
}
