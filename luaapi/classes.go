package luaapi

import (
	"path/filepath"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/module"
)

// A classID is the place of a class in the table of classes.
type classID uint8

// The classes.
const (
	classScriptContext classID = iota
	classLog
	classOptions
	classFlow
	classRequest
	classResponse
	classError
	classHeaders
	classODict
	classCaselessODict
	classMetadata
	classFilter
	classClientConnection
	classClientDisconnection
	classServerConnection
	classSSLCert
	classClientHello
	classTLSData
	classServerData
	classWebSocket
	classMessages
	classStreamMessage
	classDNSMessage
	classCount
)

// classes is the table of everything that a script can hold; metatables and
// reference are made from it.
var classes = [classCount]*class{
	classScriptContext:       contextClass(),
	classLog:                 logClass(),
	classOptions:             optionsClass(),
	classFlow:                flowClass(),
	classRequest:             requestClass(),
	classResponse:            responseClass(),
	classError:               errorClass(),
	classHeaders:             headersClass(),
	classODict:               odictClass("ODict", "An ordered list of names and values in which a name may have several values."),
	classCaselessODict:       odictClass("CaselessODict", "An ODict that finds names in any case."),
	classMetadata:            metadataClass(),
	classFilter:              filterClass(),
	classClientConnection:    clientConnClass(),
	classClientDisconnection: disconnectClass(),
	classServerConnection:    serverConnClass(),
	classSSLCert:             certClass(),
	classClientHello:         helloClass(),
	classTLSData:             tlsDataClass(),
	classServerData:          serverDataClass(),
	classWebSocket:           webSocketClass(),
	classMessages:            messagesClass(),
	classStreamMessage:       streamMessageClass(),
	classDNSMessage:          dnsMessageClass(),
}

// bind makes the metatables and the globals of a state.
func (in *instance) bind(L *lua.LState) {
	in.ctx.ud = lua.LUserData{Value: &in.ctx}
	in.ctx.log = lua.LUserData{Value: &logObj{in}}
	in.ctx.options = lua.LUserData{Value: &optionsObj{in}}
	in.ctx.in, in.ctx.attrs = in, L.NewTable()
	for id, c := range classes {
		switch classID(id) {
		case classScriptContext:
			in.meta[id] = c.metatable(L, &in.ctx.ud)
			in.ctx.ud.Metatable = in.meta[id]
		case classLog:
			in.meta[id] = c.metatable(L, &in.ctx.log)
			in.ctx.log.Metatable = in.meta[id]
		case classOptions:
			in.meta[id] = c.metatable(L, nil)
			in.ctx.options.Metatable = in.meta[id]
		default:
			in.meta[id] = c.metatable(L, nil)
		}
	}
	L.SetGlobal("proxy", &in.ctx.ud)
	for _, f := range functions {
		L.SetGlobal(f.name, L.NewFunction(func(L *lua.LState) int { return f.call(L, in) }))
	}
	L.SetGlobal("ODictCaseless", L.GetGlobal("CaselessODict"))
	L.SetGlobal("SSLCert", in.certConstructors(L))
	image := L.NewTable()
	image.RawSetString("rotate", L.NewFunction(func(L *lua.LState) int { return rotateImage(L, in) }))
	L.SetGlobal("image", image)
	module.Open(L, in.rt, module.Config{Dir: filepath.Dir(in.path), Proxy: in.m.cfg.ListenAddr})
}
