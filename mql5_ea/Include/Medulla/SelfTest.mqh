//+------------------------------------------------------------------+
//| SelfTest.mqh - InpSelfTest=true: the inner parts tested inside   |
//| the terminal itself, one PASS or FAIL line each. Nothing is sent.|
//+------------------------------------------------------------------+
#ifndef MEDULLA_SELF_TEST_MQH
#define MEDULLA_SELF_TEST_MQH
#include <Medulla\Commands.mqh>

class CSelfTest
  {
private:
   int               m_passed;
   int               m_failed;
   void              Check(const string name,const bool good);
   bool              Reads(const string text) const;
   void              TestJson();
   void              TestSeal();
   void              TestNumbers();
   void              TestLedger();
   void              TestLatch();
public:
                     CSelfTest() { m_passed=0; m_failed=0; }
   bool              Run();
  };

CSelfTest g_self_test;

void CSelfTest::Check(const string name,const bool good)
  {
   Print(good ? "PASS " : "FAIL ",name);
   if(good)
      m_passed++;
   else
      m_failed++;
  }

bool CSelfTest::Reads(const string text) const
  {
   CJson json;
   uchar bytes[];
   BytesOf(text,bytes);
   return(json.Parse(bytes));
  }

void CSelfTest::TestJson()
  {
   CJson json;
   uchar bytes[];
   long  number=0;
   BytesOf("{\"a\":[1,-25,{\"b\":null}],\"t\":\"x\\u00e9\\n\\ud83d\\ude00\\\"\",\"f\":1.50,\"n\":9223372036854775807}",bytes);
   Check("json object",json.Parse(bytes));
   Check("json text",StringLen(json.Text(json.Find(0,"t")))==6);
   Check("json whole number",json.Whole(json.Find(0,"n"),number) && number==9223372036854775807);
   Check("json fraction is not whole",!json.Whole(json.Find(0,"f"),number));
   Check("json source",json.Source(json.Find(0,"a"))=="[1,-25,{\"b\":null}]");
   Check("json duplicate key",!Reads("{\"a\":1,\"a\":2}"));
   Check("json trailing text",!Reads("{} x"));
   Check("json NaN",!Reads("{\"a\":NaN}"));
   Check("json leading zero",!Reads("{\"a\":01}"));
   Check("json lone surrogate",!Reads("{\"a\":\"\\ud800\"}"));
   Check("json control character",!Reads("{\"a\":\"\n\"}"));
   Check("json depth 16",Reads("{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}"));
   Check("json depth 17",!Reads("{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"));
   Check("json quoting",JsonText("a\"b\\\n")=="\"a\\u0022b\\u005c\\u000a\"");
  }

//--- RFC 4231, test cases 1, 2 and 6
void CSelfTest::TestSeal()
  {
   CSeal seal;
   uchar key[];
   uchar body[];
   uchar mac[];
   ArrayResize(key,20);
   ArrayInitialize(key,(uchar)0x0b);
   seal.SetKey(key);
   BytesOf("Hi There",body);
   seal.Mac(body,mac);
   Check("hmac case 1",HexOf(mac)=="b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
   Check("hmac proves",seal.Proves(body,mac));
   mac[31]=(uchar)(mac[31]^1);
   Check("hmac refuses",!seal.Proves(body,mac));
   BytesOf("Jefe",key);
   seal.SetKey(key);
   BytesOf("what do ya want for nothing?",body);
   seal.Mac(body,mac);
   Check("hmac case 2",HexOf(mac)=="5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
   ArrayResize(key,131);
   ArrayInitialize(key,(uchar)0xaa);
   seal.SetKey(key);
   BytesOf("Test Using Larger Than Block-Size Key - Hash Key First",body);
   seal.Mac(body,mac);
   Check("hmac case 6",HexOf(mac)=="60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  }

void CSelfTest::TestNumbers()
  {
   ulong value=0;
   uchar bytes[];
   Check("number 0.00001",PlainNumber(0.00001,8)=="0.00001");
   Check("number 100",PlainNumber(100.0,8)=="100");
   Check("number -0",PlainNumber(-0.0000000001,8)=="0");
   Check("decimals of 0.01",DecimalsOf(0.01)==2 && DecimalsOf(1.0)==0 && DecimalsOf(0.001)==3);
   Check("decimal text",IsDecimal("1.10000") && IsDecimal("5") && !IsDecimal("1e5") && !IsDecimal("-1") && !IsDecimal(".5") && !IsDecimal("1."));
   Check("ulong text",ParseUlong("9007199254740993",value) && TicketText(value)=="9007199254740993");
   Check("ulong text refused",!ParseUlong("12a",value) && !ParseUlong("",value));
   Check("hex",BytesOfHex("00ff10",bytes) && HexOf(bytes)=="00ff10" && !BytesOfHex("0g",bytes));
   Check("list of numbers",ListHoldsNumber("5, 10-12",11) && !ListHoldsNumber("5,10-12",13) && !ListHoldsNumber("",0));
   BytesOf("\x20AC",bytes);
   Check("utf-8",ArraySize(bytes)==3 && TextOf(bytes,0,3)=="\x20AC");
  }

void CSelfTest::TestLedger()
  {
   string  file="Medulla\\selftest_ledger.jsonl";
   CLedger ledger;
   SIntent intent={};
   FileDelete(file);
   Check("ledger opens",ledger.Open(file) && !ledger.WasThere());
   intent.cid="self-1";
   intent.hash="h";
   intent.sent_ms=1700000000000;
   intent.cmd="open";
   intent.symbol="EURUSD";
   intent.side=0;
   intent.volume=0.1;
   intent.magic=77;
   intent.tag="Mabc1234";
   Check("ledger intent",ledger.Intend(intent) && !ledger.HasResult(ledger.Find("self-1")));
   Check("ledger result",ledger.Conclude("self-1",5001,"","{\"state\":\"done\"}"));
   ledger.Close();
   string code="";
   string execution="";
   Check("ledger survives",ledger.Open(file) && ledger.Count()==1 && ledger.ReadResult(0,code,execution) && execution=="{\"state\":\"done\"}");
   Check("ledger knows order and magic",ledger.CidOfOrder(5001)=="self-1" && ledger.Knows(77) && ledger.CidOfTag("Mabc1234#x")=="self-1");
   Check("ledger other content",ledger.IsSame(0,"h") && !ledger.IsSame(0,"g"));
   ledger.Close();
   FileDelete(file);
  }

void CSelfTest::TestLatch()
  {
   string file="Medulla\\selftest_state.json";
   CLatch latch;
   CLatch again;
   CLatch damaged;
   uchar  rubbish[];
   FileDelete(file);
   latch.Open(file,false);
   Check("latch begins open",!latch.IsStopped() && latch.Epoch()==0);
   Check("latch raises the epoch",latch.RaiseEpoch(7) && latch.Stop("test","button",0));
   again.Open(file,true);
   Check("latch survives",again.IsStopped() && again.Epoch()==7 && again.LatchedEpoch()==7 && again.Reason()=="test");
   BytesOf("{}",rubbish);
   WriteFile(file,rubbish);
   damaged.Open(file,true);
   Check("a damaged latch means stopped",damaged.IsStopped());
   FileDelete(file);
  }

bool CSelfTest::Run()
  {
   TestJson();
   TestSeal();
   TestNumbers();
   TestLedger();
   TestLatch();
   PrintFormat("Medulla self-test: %d passed, %d failed",m_passed,m_failed);
   return(m_failed==0);
  }
#endif
//+------------------------------------------------------------------+
