import type { Body } from '../../http/body.js'
import type { Pool } from '../../http/pool.js'
import type { ResponseHead } from '../../http/message.js'
import type { AnswerReceiver, OutgoingRequest } from '../../http/upstream/exchange.js'
import type { StatusRange } from '../check-options.js'
import type { Probe } from '../health-check.js'

/** What is asked, and what is well. */
export interface HttpQuestion {
  path: string
  host: string
  expected: readonly StatusRange[]
}

/** Bytes of an answer that are read; whoever sends more has shown that it is there. */
const MOST_BYTES = 64 * 1024

/**
 * A GET on a connection of its own, so that a check waits for no request and also shows that connections are accepted.
 *
 * @param openPool - a pool for this one connection
 */
export function httpProbe(openPool: () => Pool, { path, host, expected }: HttpQuestion): Probe {
  const request: OutgoingRequest = {
    method: 'GET',
    target: path,
    host,
    fields: 'User-Agent: banyan-health-check\r\nAccept: */*\r\n',
    framing: { kind: 'none' },
    body: undefined,
    upgrade: undefined,
    trailers: false,
  }
  const judge = ({ status }: ResponseHead): void => {
    if (expected.some(([from, to]) => status >= from && status <= to)) return
    const wanted = expected.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(', ')
    throw new Error(`answered ${status}, not ${wanted}`)
  }
  return async (onCancel) => {
    const pool = openPool()
    try {
      const channel = await pool.connect(onCancel)
      await new Promise<void>((resolve, reject) => {
        const receiver: AnswerReceiver = {
          onInterim: () => undefined,
          onHead: (head, body) => {
            readToEnd(body, () => channel.abort(receiver)).then(() => {
              try {
                judge(head)
                resolve()
              } catch (error) {
                reject(error)
              }
            }, reject)
          },
          onError: reject,
        }
        onCancel(() => channel.abort(receiver))
        channel.send(request, receiver)
      })
    } finally {
      pool.close()
    }
  }
}

/** @param giveUp - stops an answer that is longer than anybody needs */
function readToEnd(body: Body, giveUp: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    body.pipe({
      write(data) {
        bytes += data.length
        if (bytes > MOST_BYTES) {
          resolve()
          giveUp()
        }
        return true
      },
      end: () => resolve(),
      fail: reject,
    })
  })
}
