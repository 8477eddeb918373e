// @ts-check
/** What it costs to keep many leases. */
import { cpuMs } from '../cpu.mjs'
import { spread, table } from '../measure.mjs'
import { tasksOf } from '../apart.mjs'

const LEASES = 10_000
const PARTS = 4
const PART_MS = 5000

/**
 * @typedef {object} Contestant
 * @property {string} module in this folder
 * @property {string} where
 * @property {number} [pid] of its server
 */

const { begin } = tasksOf(new URL('./tasks.mjs', import.meta.url))

/**
 * Lets each take its leases alone, and then all keep theirs side by side: that takes little of a core.
 *
 * @param {Record<string, Contestant>} contestants
 * @returns {Promise<string[]>} a table in Markdown
 */
export async function leases(contestants) {
  const keepers = []
  for (const [name, { module, where, pid }] of Object.entries(contestants)) {
    const keeper = begin('leases', {
      contestant: module,
      where,
      count: LEASES,
      parts: PARTS,
      partMs: PART_MS,
    })
    await keeper.ready
    keepers.push({ ...keeper, name, pid })
  }
  const rows = await Promise.all(
    keepers.map(async ({ name, pid, go, result }) => {
      const before = pid && cpuMs(pid)
      const begun = performance.now()
      go()
      const { granting, cpu, kept, rss, grown } = await result
      const server = before && pid && ((cpuMs(pid) - before) / (performance.now() - begun)) * 100
      console.error(`  ${name}: ${kept} leases`)
      return [
        name,
        String(kept),
        granting.toFixed(1),
        spread(cpu, (value) => value.toFixed(1)),
        server ? server.toFixed(1) : '',
        rss.toFixed(0),
        grown.toFixed(0),
      ]
    }),
  )
  return [
    `### ${LEASES.toLocaleString('en')} leases of 10 s, each process keeps its own for ${(PARTS * PART_MS) / 1000} s`,
    table(
      [
        '',
        'kept',
        's to grant them',
        'CPU, % of a core',
        'server, % of a core',
        'memory MB',
        'of that for them',
      ],
      rows,
    ),
  ]
}
