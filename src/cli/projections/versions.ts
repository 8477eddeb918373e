import type { Switched } from '../../events/index.js'
import { confirm } from '../events/confirm.js'
import type { Output } from '../output.js'
import { paint } from '../paint.js'
import { switchOptions, versionOf, type SwitchFlags } from './input.js'
import { onProjections, type ProjectionPlace } from './place.js'

type Options = ProjectionPlace & { json?: true }

/** `banyan projections switch`. */
export async function switchVersion(
  name: string,
  version: string,
  options: Options & SwitchFlags,
): Promise<void> {
  const [number, how] = [versionOf(version), switchOptions(options)]
  await onProjections(options, async ({ projections, output }) => {
    tell(await projections.switch(name, number, how), output, options)
  })
}

/** `banyan projections undo`. */
export async function undoSwitch(name: string, options: Options & SwitchFlags): Promise<void> {
  const how = switchOptions(options)
  await onProjections(options, async ({ projections, output }) => {
    tell(await projections.undo(name, how), output, options)
  })
}

/** `banyan projections drop`. */
export async function dropVersion(
  name: string,
  version: string,
  options: Options & { force?: true; yes?: true },
): Promise<void> {
  const number = versionOf(version)
  await onProjections(options, async ({ projections, output, signal }) => {
    const fact = `This removes version ${number} of ${name} with its tables${options.force ? ', also if it is the one that is read' : ''}.`
    if (!(await confirm([fact], options.yes === true, signal))) return
    await projections.drop(name, number, options.force === true)
    if (options.json) output.json({ name, version: number })
    else output.add(`version ${number} of ${name} is dropped`)
  })
}

function tell(switched: Switched, output: Output, { json }: Options): void {
  const { name, version, before } = switched
  if (json) output.json(switched)
  else
    output.add(
      `${paint('green', `version ${version} of ${name} is read`)}${before === undefined || before === version ? '' : `; version ${before} was`}`,
    )
}
