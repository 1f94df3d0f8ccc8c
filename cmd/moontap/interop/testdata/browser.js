// Loads a page of ORIGIN through PROXY and prints what the page saw.
const { chromium } = require(process.env.PLAYWRIGHT)

async function main () {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    proxy: { server: process.env.PROXY },
    args: ['--no-sandbox', '--disable-quic', '--proxy-bypass-list=<-loopback>']
  })
  try {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
    await page.goto(process.env.ORIGIN + '/page')
    const seen = await page.evaluate(async () => {
      const entry = performance.getEntriesByType('navigation')[0]
      const webSocket = await new Promise((resolve, reject) => {
        const ws = new WebSocket(location.origin.replace('http', 'ws') + '/echo')
        ws.onopen = () => ws.send('hello')
        ws.onmessage = e => { ws.close(); resolve(e.data) }
        ws.onerror = () => reject(new Error('WebSocket failed'))
      })
      const event = await new Promise((resolve, reject) => {
        const source = new EventSource('/events')
        source.onmessage = e => { source.close(); resolve(e.data) }
        source.onerror = () => reject(new Error('event stream failed'))
      })
      return { protocol: entry.nextHopProtocol, webSocket, event }
    })
    console.log(JSON.stringify(seen))
  } finally {
    await browser.close()
  }
}

main().catch(err => { console.error(err); process.exit(1) })
