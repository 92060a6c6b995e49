"""100,000 knowledge entries that nobody in the bench asks for: services, matters, circumstances, in two languages.

They stand between a question and its answer, so they share its words ("fee", "lost", 怎么, 办理) and its shape, and
speak of other services than a retail bank's card and account. Each of the 50,000 combinations a language is asked for
by one of its paraphrases, picked by a seed. Pure; knows nothing of files or indexes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

SERVICES_EN = (
    "home insurance", "car insurance", "travel insurance", "pet insurance", "life insurance", "mortgage", "car loan",
    "student loan", "business loan", "pension plan", "retirement fund", "brokerage account", "share portfolio",
    "savings bond", "safe deposit box", "payroll service", "merchant terminal", "company credit line",
    "lease contract", "factoring contract", "escrow account", "trust fund", "charity account", "school fee plan",
    "parking permit", "library pass", "gym membership", "broadband contract", "mobile contract", "landline",
    "electricity contract", "gas contract", "water connection", "waste collection", "television licence", "bus pass",
    "rail pass", "taxi account", "rental car", "hotel booking", "flight ticket", "loyalty programme", "gift voucher",
    "parcel box", "post box", "driving licence", "passport", "residence permit", "building permit", "trade licence",
)  # fmt: skip
MATTERS_EN = (
    "renew {}", "cancel {}", "transfer {} to my wife", "change the name on {}", "pay for {} in instalments",
    "get a receipt for {}", "get a copy of the papers for {}", "claim a refund for {}", "pause {}", "restart {}",
    "extend {} by a year", "check the status of {}", "report a fault with {}", "complain about {}", "apply for {}",
    "find the number of {}", "see the fees of {}", "get a discount on {}", "add a second person to {}",
    "remove a person from {}", "change the address for {}", "change the payment day of {}",
    "get a tax statement for {}", "prove that I have {}", "use {} abroad", "move {} to another provider",
    "combine {} with another one", "downgrade {}", "upgrade {}", "get reminders about {}", "stop letters about {}",
    "read the terms of {}", "appeal a decision about {}", "report that {} was misused",
    "replace the lost documents of {}", "book an appointment about {}", "sign {} online", "learn why {} was refused",
    "get {} sooner", "insure {}",
)  # fmt: skip
CIRCUMSTANCES_EN = (
    "", "as a student", "as a pensioner", "as a company", "after a divorce", "after a death in the family",
    "when I live abroad", "while I am on holiday", "without internet", "at the weekend", "in Berlin", "in Shanghai",
    "on the island", "for my child", "for my parents", "for a friend", "from next month", "before the deadline",
    "after the deadline", "with a power of attorney", "in a wheelchair", "in sign language", "for the second time",
    "for less than a month", "during a strike",
)  # fmt: skip
FRAMES_EN = (
    "How do I {}?", "How can I {}?", "I want to {}", "I need to {}", "I would like to {}", "Can I {}?",
    "Is it possible to {}?", "What do I need to {}?", "Where can I {}?", "Could you help me {}?",
    "What does it cost to {}?", "How long does it take to {}?", "Please tell me how to {}", "Who do I ask to {}?",
    "I am trying to {}", "Am I allowed to {}?",
)  # fmt: skip
SERVICES_ZH = (
    "家庭财产险", "车险", "旅行保险", "宠物保险", "人寿保险", "房贷", "车贷", "助学贷款", "经营贷款", "养老金",
    "企业年金", "证券账户", "股票组合", "国债", "保管箱", "代发工资业务", "收款机", "公司授信", "租赁合同",
    "保理合同", "监管账户", "家族信托", "慈善账户", "学费计划", "停车证", "图书证", "健身会员", "宽带", "手机套餐",
    "固定电话", "电费户号", "燃气户号", "自来水户号", "垃圾清运", "有线电视", "公交卡", "铁路年票", "出租车账户",
    "租车订单", "酒店订单", "机票", "积分计划", "礼品券", "快递柜", "邮政信箱", "驾驶证", "护照", "居住证",
    "施工许可证", "营业执照",
)  # fmt: skip
MATTERS_ZH = (
    "续办{}", "取消{}", "把{}转给我爱人", "更改{}上的姓名", "分期支付{}", "开{}的收据", "复印{}的材料", "申请{}退款",
    "暂停{}", "恢复{}", "把{}延长一年", "查{}的进度", "报修{}", "投诉{}", "申请{}", "查{}的编号", "看{}的收费标准",
    "享受{}的优惠", "在{}上加一个人", "从{}上去掉一个人", "改{}的通讯地址", "改{}的扣款日", "开{}的纳税证明",
    "证明我有{}", "在国外用{}", "把{}换到别家", "合并两个{}", "降低{}的档次", "升级{}", "订阅{}的提醒",
    "不再收{}的信件", "看{}的条款", "对{}的决定提出申诉", "举报{}被冒用", "补办{}丢失的材料", "预约{}的业务",
    "在网上签{}", "了解{}为什么被拒", "加急办{}", "给{}投保",
)  # fmt: skip
CIRCUMSTANCES_ZH = (
    "", "我是学生，", "我退休了，", "我们是公司，", "离婚以后", "家里有人去世了，", "我住在国外，", "我在度假，",
    "没有网络，", "周末", "在柏林", "在上海", "在岛上", "替我的孩子", "替我父母", "替朋友", "下个月起",
    "截止日期之前", "过了截止日期，", "有委托书，", "我坐轮椅，", "用手语", "第二次", "不到一个月，", "罢工期间",
)  # fmt: skip
FRAMES_ZH = (
    "{}怎么{}", "{}如何{}", "{}我想{}", "{}我要{}", "{}能不能{}", "{}可以{}吗", "请问{}怎么{}", "{}去哪里{}",
    "{}需要什么材料才能{}", "{}多久能{}", "{}{}要多少钱", "{}帮我{}一下", "{}麻烦问一下怎么{}", "{}找谁{}",
    "{}我正在{}", "{}允许{}吗",
)  # fmt: skip


def distractors(language: str, number: int, seed: int) -> Iterator[tuple[str, str]]:
    """(question, answer) of the first `number` entries of a language, at most 50,000; the same for the same seed."""
    tables = {"en": (SERVICES_EN, MATTERS_EN, CIRCUMSTANCES_EN), "zh": (SERVICES_ZH, MATTERS_ZH, CIRCUMSTANCES_ZH)}
    chance = random.Random(seed)  # noqa: S311 - a reproducible draw, nothing secret
    combinations = list(product(*tables[language]))
    chance.shuffle(combinations)
    for service, matter, circumstance in combinations[:number]:
        if language == "zh":
            question = chance.choice(FRAMES_ZH).format(circumstance, matter.format(service))
            yield question, f"{circumstance}{matter.format(service)}，请到{service}柜台办理。"
        else:
            asked = f"{matter.format(f'my {service}')} {circumstance}".strip()
            yield chance.choice(FRAMES_EN).format(asked), f"The {service} desk helps you to {asked}."
