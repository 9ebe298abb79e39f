"""Names in any script, spelled in plain ASCII letters for e-mail addresses, user names and domains."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# one letter and its spelling after the other; what is missing is read from the letter's Unicode name
_SPELLINGS = (
    "ßss ææ ae øo łl đd ðd þth œoe ıi ŋng ħh ĸk ǆdz əe "
    "аa бb вv гg дd еe ёe жzh зz иi йy кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch ъ ыy ь эe юyu яya "
    "іi їyi єye ґg ўu ђdj јj љlj њnj ћc џdz ѓgj ќkj ѕdz "
    "αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs ςs τt υy φf χch ψps ωo "
    "აa ბb გg დd ეe ვv ზz თt იi კk ლl მm ნn ოo პp ჟzh რr სs ტt უu ფp ქk ღgh ყq შsh ჩch ცts ძdz წts ჭch ხkh ჯj ჰh "
    "աa բb գg դd եe զz էe ըe թt ժzh իi լl խkh ծts կk հh ձdz ղgh ճch մm յy նn շsh ոo չch պp ջj ռr սs վv տt րr ցts ւv "
    "փp քk օo ֆf եւev "
    "אa בb גg דd הh וv זz חch טt יy ךk כk לl םm מm ןn נn סs עa ףf פp ץtz צtz קk רr שsh תt "
    "اa أa إi آa بb تt ثth جj حh خkh دd ذdh رr زz سs شsh صs ضd طt ظz عa غgh فf قq كk لl مm نn هh وw يy ىa ةa ءa ئy ؤw "
    "پp چch ژzh گg کk یy ہh ےe ٹt ڈd ڑr ںn"
)

# the readings of the characters in Chinese names, by reading
_PINYIN = """
a阿 ai艾 an安 ang昂 ao敖 ba巴 bai柏白 ban班 bao包鮑鲍保寶 bei贝卑 bi毕畢碧闭 bian卞边 bin斌宾彬 bing冰兵 bo博波伯薄
bu卜 cai蔡采财財 can灿 cao曹 cen岑 chai柴 chang昌常畅 chao超晁 che车 chen陈陳谌晨宸辰 cheng成程诚承誠 chi迟池
chong充崇 chu储褚楚初 chun春纯淳 cong聪聰从丛 cui崔翠 da达 dai戴代 dan丹但 dang党 dao道 de德 deng邓鄧 di狄迪邸
dian典 diao刁 ding丁 dong东冬董東栋 dou豆窦 du都杜 duan段 e娥鄂 en恩 fa發 fan范樊凡帆 fang方芳房 fei费飞菲費霏
fen芬 feng凤冯封峰馮丰鳳風烽奉 fu付伏傅富符福 gai盖 gan甘干 gang刚 gao高郜 ge葛戈 geng耿 gong公宫巩龚龔 gou勾苟
gu古谷顾顧辜 guan关冠官管關 guang广光 gui桂贵 guo国國郭果囯 ha哈 hai海亥 han寒涵翰韓韩 hang杭 hao浩豪郝
he何和贺賀合赫 heng衡珩 hong宏洪鸿鴻红虹紅 hou侯 hu胡扈湖虎呼 hua华花華樺 huai怀 huan欢 huang黃黄皇
hui惠慧会輝辉蕙晖 huo霍 ji冀吉季纪紀姬計计籍嵇 jia佳家甲贾賈嘉加 jian健建简簡 jiang姜江蒋蔣 jiao焦 jie杰傑洁婕揭
jin晋金靳锦進 jing井京靖景静敬晶靜荆婧 ju居鞠矩 juan娟绢卷 jun俊军君钧郡 kai凯凱 kan阚 kang康亢 ke柯可 kong孔 kou寇
kuai蒯 kuang邝况匡 kun坤 lai赖賴来 lan兰蓝藍蘭岚籃 lang郎 lao劳 le乐 lei雷磊蕾 leng冷
li丽利李厉栗莉黎力理麗立里俐 lian廉连練练蓮連 liang梁良亮 liao廖 lin林霖蔺琳 ling凌玲灵令 liu刘劉柳留 long龍龙隆
lou娄楼 lu卢盧芦路陆陸魯鲁逯露璐鹿 luan栾 luo罗駱骆羅 lv吕呂律 ma马馬麻 mai麦麥 man满 mang莽 mao毛茅 mei梅美玫
men门 meng孟蒙 mi米糜 miao苗缪繆 min敏闵民 ming明銘铭 mo莫 mu木母牟穆慕 na那娜纳 nan南楠男 ni倪 nian年粘 nie聂聶
ning宁甯凝 niu牛 nong农 ou欧歐区 pan潘盘 pang庞龎 pei佩裴培 peng彭鹏朋 pi皮 piao朴 pin品頻 ping萍平屏 pu蒲浦普
qi亓戚祁齊齐琪奇淇漆 qian倩钱錢千 qiang强強蔷 qiao乔喬 qin秦琴欽 qing庆慶青清卿晴 qiu丘仇秋裘邱 qu曲屈瞿渠
quan全权銓 que阙闕 ran冉 rao饶饒 ren任仁壬 ri日 rong容榮荣戎蓉 rou柔 ru茹汝如 ruan阮 rui瑞芮睿锐 sang桑 sen森 sha沙
shan单山珊善單 shang商尚 shao邵 she佘 shen沈申慎 sheng盛勝胜 shi史石施时師师詩世士诗适 shou守寿 shu束舒淑书树恕
shuai帅 shuang双 shun顺 shuo碩 si司思斯 song宋松 su苏蘇素粟宿 sui隋睢 sun孙孫 suo索 ta塔 tai邰台泰 tan檀覃谈谭譚
tang唐汤湯 tao涛陶滔 teng滕 ti提 tian田天 tie铁 ting婷廷庭 tong佟童仝彤 tu屠涂塗凃 wan万萬婉宛綰 wang汪王旺
wei偉卫危尉玮瑋韋韦魏为威伟維薇炜位 wen文温溫闻聞雯纹 weng翁 wo沃 wu乌伍吳吴巫武邬鄔 xi席奚习郗希曦溪喜錫熙
xia夏霞侠遐 xian冼咸鲜憲賢 xiang向相祥翔项湘香項想 xiao萧肖蕭曉晓小 xie解谢謝 xin信心欣辛鑫馨新忻昕薪芯
xing刑邢兴興星幸 xiong熊雄 xiu秀修 xu徐许許胥旭 xuan宣軒萱轩璇 xue薛雪 xun荀迅勋 ya雅亚娅
yan严嚴晏燕言阎颜顏妍彦彥閻岩艳鄢延諺 yang扬杨楊羊阳陽洋仰暘 yao姚尧 ye业叶葉冶 yi伊易益仪怡宜义義逸以艺誼依奕衣苡
yin印尹殷银音鄞陰阴寅 ying应英莹穎颖應嬰盈影 yong雍永勇詠 you尤游由佑宥 yu于余俞喻玉虞郁餘宇雨羽瑜鈺裕钰语語禹妤
yuan元袁原苑媛远遠圓源 yue岳月悦玥 yun云雲芸蕴 zai宰 zan昝 zang臧 ze泽 zeng曾 zha查 zhai翟 zhan占湛詹展战
zhang张張章长 zhao兆赵趙昭 zhe哲 zhen甄珍真貞震臻禎蓁 zheng正郑鄭政 zhi植志智芝支治郅芷稚枝 zhong钟鍾仲忠鐘中
zhou周 zhu朱祝竺珠诸筑 zhuang庄莊 zhuo卓 zi子资 zong宗 zou邹鄒 zu祖 zuo左
"""


@cache
def _readings() -> Mapping[str, str]:
    table: dict[str, str] = {}
    for chunk in _SPELLINGS.split():
        table.setdefault(chunk[0], chunk[1:])
    for chunk in _PINYIN.split():
        sound = chunk.rstrip("".join(c for c in chunk if not c.isascii()))
        table.update(dict.fromkeys(chunk[len(sound) :], sound))
    return MappingProxyType(table)


_DOUBLED = re.compile(r"(.)\1+")
_INHERENT = "a"
"""The vowel that a consonant of an Indic script carries unless a sign says otherwise."""


def _by_name(letter: str) -> str:
    """Read a letter's sound from its Unicode name: HANGUL SYLLABLE GIM, KATAKANA LETTER SA, DEVANAGARI LETTER KA."""
    name = unicodedata.name(letter, "")
    script, _, rest = name.partition(" ")
    sound = rest.rpartition(" ")[2].lower()
    match script:
        case "HANGUL" | "HIRAGANA" | "KATAKANA":
            return sound if "SYLLABLE" in rest or "LETTER" in rest else ""
        case "THAI":
            kind, _, called = rest.removeprefix("CHARACTER ").lower().partition(" ")
            return {"sara": called.split(" ")[0], "mai": ""}.get(kind, kind.rstrip("o") if called else "")
        case "DEVANAGARI" | "BENGALI" | "GUJARATI" | "TAMIL" | "ORIYA" | "TELUGU" | "KANNADA" | "MALAYALAM":
            return _DOUBLED.sub(r"\1", sound) if "LETTER" in rest or "VOWEL SIGN" in rest else ""
        case "SINHALA":
            return sound.removesuffix("yanna") if "LETTER" in rest else ""
        case "ARABIC" | "HEBREW" | "CYRILLIC" | "GREEK" | "GEORGIAN" | "ARMENIAN":
            return sound[:1]
        case _:
            return ""


_VOWEL_SIGN = re.compile("VOWEL SIGN|VIRAMA|AL-LAKUNA")


def spell(text: str) -> str:
    """Spell a text in ASCII, letters of every script by their sound.

    >>> spell("Łukasz Müller"), spell("Юрий"), spell("김"), spell("王伟")
    ('Lukasz Muller', 'Yuriy', 'Gim', 'Wangwei')
    """
    known = _readings()
    parts: list[str] = []
    for char in text:
        if char.isascii():
            parts.append(char)
            continue
        if _VOWEL_SIGN.search(unicodedata.name(char, "")) and parts and parts[-1].endswith(_INHERENT):
            parts[-1] = parts[-1][:-1]
        base = unicodedata.normalize("NFKD", char)[0] if unicodedata.category(char)[0] == "L" else char
        sound = known.get(char.lower())
        if sound is None and base.isascii():
            sound = base.lower()
        if sound is None:
            sound = known.get(base.lower())
        if sound is None:
            sound = _by_name(char)
        first = not parts or not parts[-1][-1:].isalnum()
        parts.append(sound.capitalize() if sound and (char.isupper() or (first and not char.islower())) else sound)
    return "".join(parts)


def folded(text: str) -> str:
    """Return what a comparison that forgives case, accents and blanks at the end sees of a text."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).rstrip()


_OUTSIDE = re.compile("[^a-z]+")


def letters(text: str) -> str:
    """Return the lower-case letters of a name's spelling, one word.

    >>> letters("O'Brien"), letters("Núñez-Öztürk")
    ('obrien', 'nunezozturk')
    """
    return _OUTSIDE.sub("", spell(text).lower()) or "x"


_OUTSIDE_LABEL = re.compile("[^a-z0-9]+")


def label(text: str) -> str:
    """Return a text as the label of a domain: lower-case letters and digits, hyphens between words.

    >>> label("Müller & Söhne GmbH")
    'muller-sohne-gmbh'
    """
    return _OUTSIDE_LABEL.sub("-", spell(text).lower()).strip("-")[:40].strip("-") or "x"
