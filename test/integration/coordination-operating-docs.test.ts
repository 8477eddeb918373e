import { expect, test } from 'vitest'
import { consoleExamples, general, runInShell, startPageProgram } from '../support/console-examples.js'

/** The examples of pages for operators, run one after the other beside the program that stands there. */

const PAGES = ['coordination/operating.md', 'coordination/sharding-operating.md']
const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname

test.each(PAGES)(
  'every example of %s prints what it says',
  async (page) => {
    await using program = await startPageProgram(page)
    const env = { ...process.env, NO_COLOR: '1', BANYAN_COORDINATOR: 'sqlite:./data' }
    const banyan = `"${process.execPath}" "${MAIN}"`
    const examples = consoleExamples(page)
    expect(examples.length).toBeGreaterThan(8)
    for (const { command, printed } of examples) {
      const said = await runInShell(command, { banyan }, { cwd: program.folder, env })
      expect(general(`$ ${command}\n${said}`)).toBe(general(`$ ${command}\n${printed}`))
    }
  },
  60_000,
)
