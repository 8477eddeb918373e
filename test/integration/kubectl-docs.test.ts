import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ensure, freePort } from '../../scripts/engines.mjs'
import { consoleExamples, general, runInShell, startPageProgram } from '../support/console-examples.js'
import { blockOf } from '../support/example.js'
import { kubectlMissing } from '../support/kubectl.js'

const PAGE = 'coordination/kubectl.md'

describe.skipIf(kubectlMissing())('the page on kubectl', () => {
  test('has examples that print what it says', async () => {
    const port = String(await freePort())
    const here = (text: string) => text.replaceAll('8080', port)
    await using program = await startPageProgram(PAGE, here)
    const { folder } = program
    writeFileSync(join(folder, 'kubeconfig'), here(blockOf(PAGE, 'yaml', 0)))
    writeFileSync(join(folder, 'promotion.yaml'), blockOf(PAGE, 'yaml', 1))
    const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: join(folder, 'kubeconfig') }
    for (const { command, printed } of consoleExamples(PAGE)) {
      const said = await runInShell(command, { kubectl: ensure('kubectl') }, { cwd: folder, env })
      expect(clean(`$ ${command}\n${said}`)).toBe(clean(`$ ${command}\n${printed}`))
    }
  }, 60_000)
})

/** Spaces at the ends of lines are not kept in pages. */
function clean(text: string): string {
  return general(text).replace(/\s+$/gm, '')
}
