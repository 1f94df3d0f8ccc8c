package luaapi

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"

	lua "github.com/yuin/gopher-lua"
)

// maxPixels bounds the images that are decoded: a small file can stand for
// gigabytes.
const maxPixels = 64 << 20

// jpegQuality is that of images written again.
const jpegQuality = 90

// rotateImage is image.rotate. It works without the baton: a large image takes
// longer than a handler may run.
func rotateImage(L *lua.LState, in *instance) int {
	data, degrees := bytesOf(L.CheckString(1)), L.CheckInt(2)
	var out []byte
	var err error
	in.rt.Block(L, func(context.Context) { out, err = rotate(data, degrees) })
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(text(out))
	return 1
}

// rotate turns a PNG, JPEG or GIF image clockwise. Of an animation it keeps the
// first picture.
func rotate(data []byte, degrees int) ([]byte, error) {
	if degrees%90 != 0 {
		return nil, errors.New("degrees must be a multiple of 90")
	}
	head, format, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, errors.New("not a PNG, JPEG or GIF image")
	case head.Width > 0 && head.Height > maxPixels/head.Width:
		return nil, errors.New("image is too large")
	}
	src, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	turned := turn(src, (degrees%360+360)%360/90)
	var buf bytes.Buffer
	switch format {
	case "jpeg":
		err = jpeg.Encode(&buf, turned, &jpeg.Options{Quality: jpegQuality})
	case "gif":
		err = gif.Encode(&buf, turned, nil)
	default:
		err = png.Encode(&buf, turned)
	}
	return buf.Bytes(), err
}

// turn makes a copy of src that is turned clockwise by quarters of a circle.
func turn(src image.Image, quarters int) image.Image {
	b := src.Bounds()
	in := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(in, in.Bounds(), src, b.Min, draw.Src)
	w, h := b.Dx(), b.Dy()
	ow, oh := w, h
	if quarters%2 == 1 {
		ow, oh = h, w
	}
	out := image.NewNRGBA(image.Rect(0, 0, ow, oh))
	for y := range h {
		for x := range w {
			var ox, oy int
			switch quarters {
			case 0:
				ox, oy = x, y
			case 1:
				ox, oy = h-1-y, x
			case 2:
				ox, oy = w-1-x, h-1-y
			default:
				ox, oy = y, w-1-x
			}
			copy(out.Pix[out.PixOffset(ox, oy):][:4], in.Pix[in.PixOffset(x, y):][:4])
		}
	}
	return out
}
