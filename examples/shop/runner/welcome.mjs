// @ts-check
import { ADMIN, GATEWAY, SECOND_ADMIN, SECOND_GATEWAY } from './processes.mjs'

const node = `-a ${ADMIN}`
const second = `-a ${SECOND_ADMIN}`
const order = (/** @type {string} */ customer) => `curl -X POST '${GATEWAY}/orders/fig?customer=${customer}'`

/**
 * What to try, and what it shows. ORDER stands for the id that the first command answers with.
 *
 * @param {{ catalog: number | undefined, first: number | undefined, hasLegacy: boolean }} about `catalog`, `first`: the pids of
 *   a catalog process and of the first node
 * @returns {Record<string, [command: string, effect: string][]>}
 */
const ideas = ({ catalog, first, hasLegacy }) => ({
  'An order: stock is reserved, the card charged, the parcel sent': [
    [order('ada'), 'ORDER is what it answers'],
    [`npx banyan sagas show fulfilment/ORDER ${node}`, 'each step; shipped in ten seconds'],
    [`curl ${GATEWAY}/payments/ORDER`, 'asked for perhaps often, charged once'],
    [`curl -X POST ${GATEWAY}/orders/ORDER/cancel`, 'in time: all is undone; or /undo, /redo'],
    [`curl '${GATEWAY}/orders/ORDER?revision=0'`, 'as it was; /audit tells who did what'],
  ],
  'Orders that go wrong': [
    [order('broke'), 'the card is refused, the stock released'],
    [order('ghost'), 'nobody can send it, nor give the money back:'],
    [`npx banyan sagas list --status parked ${node}`, 'in ten seconds it is parked. Then, as its operator:'],
    ['curl -X PUT http://127.0.0.1:4003/payments/accounts/ghost', 'the account is open again'],
    [`npx banyan sagas retry fulfilment/ORDER ${node}`, 'and all is undone; skip, if you have paid by hand'],
    [order('nobody'), 'a message that cannot be delivered'],
    [`npx banyan subscriptions show notifications ${node}`, 'is parked, and says why; all others flow'],
  ],
  'Services that fail': [
    ['npx banyan status', 'what the gateway sees, live'],
    ['npm run traffic', 'clients, and what they get'],
    [`kill ${catalog}`, 'a catalog process dies; clients do not notice'],
    ['node examples/shop/start.mjs catalog 4001', 'and comes back'],
    ['curl -X PUT http://127.0.0.1:4003/payments/failing/0.9', 'the breaker opens, and orders wait'],
    ['curl -X PUT http://127.0.0.1:4003/payments/failing/0', 'all is well, and they go on'],
  ],
  'The nightly report: two could write it, one does': [
    [`curl ${GATEWAY}/reports/`, 'who leads, and the last reports, with tokens'],
    ['npx banyan leaders nightly-report', 'who waits, and who has led before'],
    ['kill -9 PID', 'PID as told when it began; soon the other one says so'],
    [`curl -X POST ${GATEWAY}/reports/late`, 'one that comes late, under the old token, is refused'],
    ['node examples/shop/start.mjs reports 4009', 'or 4010: who was killed comes back, and waits'],
  ],
  'Who is where: processes that say so themselves': [
    ['node examples/shop/start.mjs reports 4011', 'one more, of which no configuration knows'],
    [`curl ${GATEWAY}/reports/`, 'servedBy: 4011 too takes its turn'],
    ['npx banyan registry reports', 'all of them, and how they are'],
  ],
  'Orders of customers, in two files, and then in three': [
    ['npm run traffic', 'soon there are 40 orders, and a third file comes by itself'],
    [`curl ${GATEWAY}/history/`, 'what moves; and all orders are there, each once, at any time'],
    [`curl ${GATEWAY}/history/ada`, 'what ada has ordered, and which file has it'],
    ['npx banyan shards orders', 'which file has which buckets, and how far moves are'],
    ['curl -X PUT http://127.0.0.1:4012/history/files/2', 'the third one is emptied; …/3: and filled again'],
  ],
  'Promotions: what is wanted is said, and kept': [
    [`npx banyan apply -f examples/shop/summer.yaml ${node}`, 'figs are to cost a quarter less'],
    [`npx banyan get promotions ${node} --watch`, 'and soon do; on another terminal:'],
    [
      'curl -X DELETE http://127.0.0.1:4001/catalog/fig/tag',
      'somebody takes the tag off: two seconds later it is back',
    ],
    [
      `npx banyan describe promotion summer ${second}`,
      'the same on the second node, which works if the first is killed',
    ],
    [`kubectl --server ${ADMIN}/kubernetes edit promotion summer`, 'if you have kubectl: it works here'],
    [`npx banyan delete promotion summer ${node}`, 'and the tag goes first'],
  ],
  'A job, run each minute by one of them': [
    ['npx banyan jobs', 'when it is due, who ran it last, what came of it'],
    ['npx banyan jobs run old-reports', 'now'],
  ],
  'Two nodes, one system': [
    [
      `npx banyan leaders ${second}`,
      'the second node tells what the first one does; so do registry and jobs',
    ],
    ['npx banyan registry nodes', 'both of them, and how they are'],
    [`kill -9 ${first}`, 'no gateway on 8080, and no saga, until it is back; but'],
    [`curl ${SECOND_GATEWAY}/reports/`, 'reports are written, and the second gateway finds them'],
    [`npx banyan registry nodes ${second} --watch`, 'three seconds later it is known to be gone'],
    ['node examples/shop/start.mjs node 8080', 'and all goes on. Kill the second one: nobody notices'],
  ],
  'Tables of others': [
    ['npx banyan outbox status', 'stock, written with its events in one transaction'],
    ...(hasLegacy
      ? /** @type {[string, string][]} */ ([
          ['curl -X PUT http://127.0.0.1:4008/legacy/fig/30', 'a table of an old system changes'],
        ])
      : []),
    [`curl ${GATEWAY}/catalog/fig`, 'and the catalogue knows'],
  ],
})

const WITHOUT_LEGACY = `
  Left out, as it needs PostgreSQL: prices captured from a table of an old system.
  To have them: npm start -- --postgres, or SHOP_POSTGRES=postgres://user:password@host/database npm start
`

/**
 * @param {{ name: string, port: number, admin?: string, pid: number | undefined }[]} processes
 * @returns {string} what there is, and what to try with it
 */
export function welcome(processes) {
  const hasLegacy = processes.some(({ name }) => name === 'legacy')
  const pidOf = (/** @type {string} */ wanted) => processes.find(({ name }) => name === wanted)?.pid
  const lines = processes.map(
    ({ name, port, admin, pid }) =>
      `    ${name.padEnd(13)} http://127.0.0.1:${port}   pid ${pid}${admin ? `, admin ${admin}` : ''}`,
  )
  const about = { catalog: pidOf('catalog'), first: pidOf('first node'), hasLegacy }
  const parts = Object.entries(ideas(about)).map(
    ([title, commands]) =>
      `  ${title}\n${commands.map(([command, effect]) => `    ${command.padEnd(76)} ${effect}`).join('\n')}`,
  )
  return `
  The shop is open:  ${GATEWAY}

${lines.join('\n')}

  Open it in a browser, or try in another terminal:

${parts.join('\n\n')}
${hasLegacy ? '' : WITHOUT_LEGACY}
  Ctrl-C stops everything.
`
}
