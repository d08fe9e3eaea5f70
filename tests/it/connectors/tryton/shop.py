"""Makes a shop's company in a fresh Tryton database, so that orders can be sold, shipped and invoiced in it.

Usage: shop.py <trytond.conf> <database>
"""

import datetime as dt
import sys
from decimal import Decimal

from proteus import Model, Wizard, config

conf = config.set_trytond(database=sys.argv[2], config_file=sys.argv[1])


def model(name):
    return Model.get(name)


def single(name, domain):
    found, = model(name).find(domain, limit=1)
    return found


# The company.
Party = model('party.party')
Currency = model('currency.currency')
Country = model('country.country')
for code, name in [('DE', 'Germany'), ('AT', 'Austria'), ('FR', 'France')]:
    if not Country.find([('code', '=', code)]):
        Country(code=code, name=name).save()
euro = Currency.find([('code', '=', 'EUR')])
euro = euro[0] if euro else Currency(name='Euro', code='EUR', numeric_code='978', symbol='€', rounding=Decimal('0.01'))
euro.save()
if not euro.rates:
    euro.rates.new(date=dt.date(2020, 1, 1), rate=Decimal('1'))
    euro.save()
wizard = Wizard('company.company.config')
wizard.execute('company')
wizard.form.party = Party(name='Kontor test shop')
wizard.form.party.save()
wizard.form.currency = euro
wizard.execute('add')
company = single('company.company', [])
User = model('res.user')
admin = single('res.user', [('login', '=', 'admin')])
admin.companies.append(company)
admin.company = company
admin.save()
conf._context = User.get_preferences(True, conf.context)

# Accounts.
template = single('account.account.template', [('parent', '=', None)])
wizard = Wizard('account.create_chart')
wizard.execute('account')
wizard.form.account_template = template
wizard.form.company = company
wizard.execute('create_account')
Account = model('account.account')
receivable = single('account.account', [('closed', '!=', True),
        ('type.receivable', '=', True), ('party_required', '=', True), ('company', '=', company.id)])
payable = single('account.account', [('closed', '!=', True),
        ('type.payable', '=', True), ('party_required', '=', True), ('company', '=', company.id)])
revenue = single('account.account', [('type.revenue', '=', True), ('closed', '!=', True), ('company', '=', company.id)])
expense = single('account.account', [('type.expense', '=', True), ('closed', '!=', True), ('company', '=', company.id)])
tax_account = Account.find([('name', 'like', '%ax%'), ('company', '=', company.id), ('type', '!=', None), ('closed', '!=', True)]) or [payable]
wizard.form.account_receivable = receivable
wizard.form.account_payable = payable
wizard.execute('create_properties')

# A fiscal year with the numbers of its invoices.
Strict = model('ir.sequence.strict')
kind = single('ir.sequence.type', [('name', '=', 'Invoice')])
moves = single('ir.sequence.type', [('name', '=', 'Account Move')])
year = dt.date.today().year
fiscal = model('account.fiscalyear')(name=str(year), company=company)
fiscal.start_date, fiscal.end_date = dt.date(year, 1, 1), dt.date(year, 12, 31)
numbers = Strict(name=f'{year}', sequence_type=moves, company=company)
numbers.save()
fiscal.move_sequence = numbers
invoices = fiscal.invoice_sequences[0]
number = Strict(name=f'Invoice {year}', sequence_type=kind, company=company, prefix=f'RE-{year}-')
number.save()
for field in ['in_invoice_sequence', 'in_credit_note_sequence', 'out_invoice_sequence', 'out_credit_note_sequence']:
    setattr(invoices, field, number)
fiscal.save()
fiscal.click('create_period')

# Taxes, and a category of goods that is sold with accounts.
Tax = model('account.tax')
for rate in ['0.19', '0.07']:
    tax = Tax(name=f'VAT {rate}', description=f'VAT {rate}', type='percentage', rate=Decimal(rate), company=company)
    tax.invoice_account = tax.credit_note_account = tax_account[0]
    tax.save()
category = model('product.category')(name='Goods', accounting=True)
category.account_expense, category.account_revenue = expense, revenue
category.customer_taxes.append(Tax.find([('rate', '=', Decimal('0.19'))])[0])
category.save()

# A payment term, so that invoices have a date they are due on.
term = model('account.invoice.payment_term')(name='At once')
term.lines.new(type='remainder')
term.save()
config_sale = model('sale.configuration')(1)
config_sale.sale_invoice_method, config_sale.sale_shipment_method = 'fulfillment', 'order'
config_sale.save()

# Goods, and a hundred of each in the store.
unit = single('product.uom', [('name', '=', 'Unit')])
Template = model('product.template')


def product(code, name, kind='goods', price='10'):
    made = Template(name=name, default_uom=unit, type=kind, salable=True, list_price=Decimal(price), account_category=category)
    made.products[0].suffix_code = code
    made.save()
    return made.products[0]


warehouse = single('stock.location', [('type', '=', 'warehouse')])
Inventory = model('stock.inventory')
inventory = Inventory(location=warehouse.storage_location)
for code in ['TEE-S', 'TEE-M', 'MUG']:
    inventory.lines.new(product=product(code, f'{code} of the shop'), quantity=100)
inventory.save()
inventory.click('confirm')
product('SHIPPING', 'Shipping', kind='service', price='5')
print('ready')
