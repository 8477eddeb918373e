// @ts-check
/** Keeps a SQLite file locked, as a foreign program may, until it is killed. Its argument is JSON: `file`. */
import Database from 'better-sqlite3'

const { file } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(0)).resume()
const database = new Database(file)
database.exec('BEGIN IMMEDIATE')
process.stdout.write('ready\n')
