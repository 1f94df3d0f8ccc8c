package contentview

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"strconv"
	"strings"

	_ "image/gif"  // for image.DecodeConfig
	_ "image/jpeg" // for image.DecodeConfig
	_ "image/png"  // for image.DecodeConfig
)

func fitsImage(src *source) priority {
	return when(len(src.Data) > 0 && strings.HasPrefix(src.mime, "image/") && src.mime != "image/svg+xml", typed)
}

// imageFormats are recognised by their first bytes; * stands for any byte.
var imageFormats = []struct{ magic, id, name string }{
	{"\x89PNG\r\n\x1a\n", "PNG", "Portable network graphics"},
	{"GIF8", "GIF", "Compuserve GIF"},
	{"\xff\xd8\xff", "JPEG", "JPEG (ISO 10918)"},
	{"RIFF****WEBP", "WebP", "WebP"},
	{"****ftypavif", "AVIF", "AV1 image file"},
	{"****ftyphei", "HEIF", "High efficiency image file"},
	{"\x00\x00\x01\x00", "ICO", "Windows icon"},
	{"BM", "BMP", "Windows bitmap"},
	{"II*\x00", "TIFF", "Tagged image file"},
	{"MM\x00*", "TIFF", "Tagged image file"},
}

func renderImage(src *source, p *page) (string, error) {
	for _, f := range imageFormats {
		if !hasMagic(src.Data, f.magic) {
			continue
		}
		list := []pair{{key: "Format", value: f.name}}
		if c, _, err := image.DecodeConfig(bytes.NewReader(src.Data)); err == nil {
			list = append(list, pair{key: "Size", value: fmt.Sprintf("%d x %d px", c.Width, c.Height)})
		}
		p.pairs(append(list, pair{key: "Bytes", value: strconv.Itoa(len(src.Data))}))
		return f.id + " Image", nil
	}
	return "", errors.New("not an image of a known format")
}

func hasMagic(b []byte, magic string) bool {
	if len(b) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '*' && magic[i] != b[i] {
			return false
		}
	}
	return true
}
