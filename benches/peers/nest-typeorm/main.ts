// The peer for durable ingest on PostgreSQL: NestJS with TypeORM, a `repository.save` per request, with the defaults of
// both. Argument: the address of an empty database. Prints its port.
import 'reflect-metadata'
import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm'
import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm'

@Entity('notifications')
class Notification {
  @PrimaryGeneratedColumn('uuid') id: string
  @CreateDateColumn({ type: 'timestamptz', name: 'received_at' }) receivedAt: Date
  @Column('text') name: string
  @Column('text', { nullable: true }) process: string
  @Column('text', { name: 'macro_process', nullable: true }) macroProcess: string
  @Column('text', { name: 'reference_date', nullable: true }) referenceDate: string
  @Column('timestamp', { name: 'period_start', nullable: true }) periodStart: string
  @Column('timestamp', { name: 'period_end', nullable: true }) periodEnd: string
  @Column('text') url: string
  @Column('jsonb') body: object
}

@Controller('webhook')
class WebhookController {
  constructor(@InjectRepository(Notification) private readonly notifications: Repository<Notification>) {}

  @Post()
  @HttpCode(202)
  async receive(@Body() body: Record<string, string>) {
    const saved = await this.notifications.save(
      this.notifications.create({
        name: body.nome,
        process: body.processo,
        macroProcess: body.macroProcesso,
        referenceDate: body.dataProduto,
        periodStart: body.periodicidade,
        periodEnd: body.periodicidadeFinal,
        url: body.url,
        body
      })
    )
    return { id: saved.id }
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.argv[2], entities: [Notification], synchronize: true }),
    TypeOrmModule.forFeature([Notification])
  ],
  controllers: [WebhookController]
})
class AppModule {}

async function main() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
  await app.listen(0, '127.0.0.1')
  console.log(app.getHttpServer().address().port)
}
void main()
