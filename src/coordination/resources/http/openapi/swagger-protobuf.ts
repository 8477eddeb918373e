import { isObject } from '../../schema/is-object.js'
import { message, type Field } from './protobuf.js'

type JsonObject = Readonly<Record<string, unknown>>

/**
 * A document of OpenAPI 2.0 as `openapi.v2.Document` of github.com/google/gnostic, which old clients ask for; as much of it as
 * documents of ours say.
 */
export function swaggerProtobuf(document: JsonObject): Buffer {
  const info = objectOf(document['info'])
  return message(
    [1, textOf(document['swagger'])],
    [2, message([1, textOf(info['title'])], [2, textOf(info['version'])])],
    [
      8,
      message(...entries(document['paths']).map(([path, item]) => named(2, path, pathItem(objectOf(item))))),
    ],
    [
      9,
      message(...entries(document['definitions']).map(([name, schema]) => named(1, name, schemaOf(schema)))),
    ],
  )
}

const METHODS = { get: 2, put: 3, post: 4, delete: 5, patch: 8 }

function pathItem(item: JsonObject): Buffer {
  return message(
    ...Object.entries(METHODS).map(([method, number]): Field => {
      const operation = item[method]
      return [number, isObject(operation) ? operationOf(operation) : undefined]
    }),
    ...parameters(9, item['parameters']),
  )
}

function operationOf(operation: JsonObject): Buffer {
  return message(
    [3, textOf(operation['description'])],
    [5, textOf(operation['operationId'])],
    ...texts(6, operation['produces']),
    ...texts(7, operation['consumes']),
    ...parameters(8, operation['parameters']),
    [
      9,
      message(...entries(operation['responses']).map(([code, answer]) => named(1, code, answerOf(answer)))),
    ],
    ...extensions(13, operation),
  )
}

/** A `ResponseValue`, of which an answer is one. */
function answerOf(answer: unknown): Buffer {
  const { description, schema } = objectOf(answer)
  return message([
    1,
    message([1, textOf(description)], [2, schema === undefined ? undefined : message([1, schemaOf(schema)])]),
  ])
}

/** Each a `ParametersItem` with a `Parameter` in it. */
function parameters(number: number, list: unknown): Field[] {
  return listOf(list).map((parameter) => [number, message([1, parameterOf(objectOf(parameter))])])
}

function parameterOf(parameter: JsonObject): Buffer {
  const { name, description, required, type, schema } = parameter
  const isRequired = required === true ? true : undefined
  const said = [textOf(description), textOf(name), textOf(type)] as const
  switch (parameter['in']) {
    case 'body':
      return message([1, message([1, said[0]], [2, said[1]], [3, isRequired], [4, schemaOf(schema)])])
    case 'path':
      return message([
        2,
        message([4, message([1, isRequired], [2, 'path'], [3, said[0]], [4, said[1]], [5, said[2]])]),
      ])
    default:
      return message([
        2,
        message([3, message([1, isRequired], [2, 'query'], [3, said[0]], [4, said[1]], [6, said[2]])]),
      ])
  }
}

function schemaOf(schema: unknown): Buffer {
  const said = objectOf(schema)
  const { properties, additionalProperties, items, type } = said
  return message(
    [1, textOf(said['$ref'])],
    [2, textOf(said['format'])],
    [4, textOf(said['description'])],
    [5, 'default' in said ? anyOf(said['default']) : undefined],
    [13, textOf(said['pattern'])],
    ...texts(19, said['required']),
    ...listOf(said['enum']).map((value): Field => [20, anyOf(value)]),
    [21, isObject(additionalProperties) ? message([1, schemaOf(additionalProperties)]) : undefined],
    [22, typeof type === 'string' ? message([1, type]) : undefined],
    [23, items === undefined ? undefined : message([1, schemaOf(items)])],
    [
      25,
      properties === undefined
        ? undefined
        : message(...entries(properties).map(([name, part]) => named(1, name, schemaOf(part)))),
    ],
    ...extensions(31, said),
  )
}

function extensions(number: number, said: JsonObject): Field[] {
  return Object.entries(said)
    .filter(([word]) => word.startsWith('x-'))
    .map(([word, value]) => named(number, word, anyOf(value)))
}

/** An `Any`: what it holds as YAML, of which JSON is a part. */
function anyOf(value: unknown): Buffer {
  return message([2, JSON.stringify(value)])
}

function named(number: number, name: string, value: Buffer): Field {
  return [number, message([1, name], [2, value])]
}

function texts(number: number, list: unknown): Field[] {
  return listOf(list).map((text) => [number, textOf(text)])
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}

function entries(value: unknown): [string, unknown][] {
  return Object.entries(objectOf(value))
}
