import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { systemClock } from '../../src/core/clock.js'
import { checkSource } from '../../src/node/config/load.js'
import { formatProblem } from '../../src/node/config/problem.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { createLog } from '../../src/node/log.js'
import { Node } from '../../src/node/node.js'
import { open } from './gateway.js'

/** The code of the `index`th block of that language on a page of `docs/`. */
export function blockOf(page: string, language: string, index = 0): string {
  const text = readFileSync(`docs/${page}`, 'utf8')
  const blocks = Array.from(text.matchAll(/^```(\w+)[^\n]*\n([^]*?)^```$/gm), (match) => ({
    language: match[1],
    code: match[2],
  }))
  const code = blocks.filter((block) => block.language === language)[index]?.code
  if (code === undefined) throw new Error(`docs/${page} has no ${language} block ${index}`)
  return code
}

/**
 * Runs the node that a configuration on a page of `docs/` describes, so that what is documented is what works.
 *
 * @param env - what stands for `${NAME}`; a page says `${ORDERS:-http://127.0.0.1:4001}` where a test has its own
 * @param edit - changes the text before it is read, for ports
 * @returns the node, started, and the ports it listens on
 */
export async function startExample(
  page: string,
  options: { index?: number; env?: Record<string, string>; edit?: (yaml: string) => string } = {},
): Promise<{ node: Node; ports: number[] }> {
  const { index = 0, env = {}, edit = (yaml: string) => yaml } = options
  const yaml = edit(blockOf(page, 'yaml', index))
  const loaded = checkSource(`docs/${page}`, readYaml(yaml, env))
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  const node = await Node.create(
    { ...loaded.spec, admin: false },
    createLog(new PassThrough().resume(), systemClock),
  )
  await node.start()
  open.push({ close: () => node.stop(AbortSignal.abort()) })
  return { node, ports: node.state().node.listen.map((address) => Number(address.split(':').at(-1))) }
}
